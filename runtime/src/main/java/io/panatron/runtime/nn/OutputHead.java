package io.panatron.runtime.nn;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.runtime.autograd.Linear;
import io.panatron.runtime.autograd.LinearCrossEntropy;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;

/**
 * The end of a language model: from the last hidden states to losses or logits.
 *
 * @param weight [vocabulary, hidden], or the rows that this rank has
 * @param vocabulary rows of the whole weight
 * @param parallel how ranks share the rows
 */
public record OutputHead(Parameter weight, int vocabulary, TensorParallel parallel) {

  /**
   * The cross-entropy of each token, differentiated with {@code dLosses}; see {@link
   * LinearCrossEntropy#forwardWeighted}.
   *
   * @param hidden [tokens here, hidden], taken over
   * @param labels [tokens] I32, as are dLosses and the result
   */
  public Tensor weightedLosses(
      Tape tape, Tensor hidden, Tensor labels, Tensor dLosses, TokenLoss kind) {
    Tensor all = parallel.enter(tape, hidden);
    VocabularyPart part = parallel.vocabulary(vocabulary);
    return LinearCrossEntropy.forwardWeighted(tape, all, weight, part, labels, dLosses, kind);
  }

  /** The cross-entropy of each token, to be differentiated later if at all; as above. */
  public Tensor losses(Tape tape, Tensor hidden, Tensor labels) {
    Tensor all = parallel.enter(tape, hidden);
    VocabularyPart part = parallel.vocabulary(vocabulary);
    return LinearCrossEntropy.forward(tape, all, weight, part, labels);
  }

  /** The hidden states of all tokens, for {@link #logits}: [tokens, hidden]. */
  public Tensor ofAllTokens(Tape tape, Tensor hidden) {
    return parallel.enter(tape, hidden);
  }

  /**
   * All logits of some tokens, on every rank: [tokens, vocabulary] in the accumulator dtype; not
   * differentiable.
   *
   * @param hidden [tokens, hidden], taken over
   */
  public Tensor logits(Tape tape, Tensor hidden) {
    Tensor own = Linear.logits(tape, hidden, weight);
    return parallel.group() == null ? own : gathered(tape, own);
  }

  /** Puts the ranks' columns side by side, for which each rank sends as many as the widest has. */
  private Tensor gathered(Tape tape, Tensor own) {
    Communicator group = parallel.ranks();
    VocabularyPart part = new VocabularyPart(vocabulary, group);
    long tokens = own.shape().extent(0);
    long room = tokens * part.mostRows();
    DType dtype = own.dtype();
    Tensor sent = tape.allocate("logits of this rank", dtype, room);
    tape.backend().copy(own.reshape(own.elements()), sent.slice(0, own.elements()));
    tape.release(own);
    Tensor received = tape.allocate("logits of all ranks", dtype, group.size() * room);
    group.allGather(sent, received);
    tape.release(sent);
    Tensor all = tape.allocate("logits", dtype, tokens, vocabulary);
    Tensor flat = all.reshape(all.elements());
    for (int rank = 0; rank < group.size(); rank++) {
      int first = VocabularyPart.firstRow(vocabulary, rank, group.size());
      int count = VocabularyPart.firstRow(vocabulary, rank + 1, group.size()) - first;
      for (long t = 0; t < tokens; t++) {
        tape.backend()
            .copy(
                received.slice(rank * room + t * count, count),
                flat.slice(t * vocabulary + first, count));
      }
    }
    tape.release(received);
    return all;
  }
}
