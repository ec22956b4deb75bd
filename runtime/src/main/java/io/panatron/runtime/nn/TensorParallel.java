package io.panatron.runtime.nn;

import io.panatron.kernels.AccountingCommunicator;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.runtime.autograd.CopyToGroup;
import io.panatron.runtime.autograd.GatherTokens;
import io.panatron.runtime.autograd.ReduceFromGroup;
import io.panatron.runtime.autograd.ScatterTokens;
import io.panatron.runtime.autograd.Tape;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * How the ranks of a tensor-parallel group share a model's matrices: each rank computes with some
 * of the heads, some of the MLP's columns, some of the vocabulary. What lies between these shares,
 * the residual stream with its norms and dropout, every rank has as a whole, or under sequence
 * parallelism each rank for some of the tokens.
 *
 * <p>Source: Shoeybi et al., "Megatron-LM", section 3; Korthikanti et al., "Reducing Activation
 * Recomputation in Large Transformer Models", section 4.2.2.
 *
 * @param group the ranks that share each layer; null where one rank has all, and nothing is
 *     exchanged
 * @param sequence whether tokens are shared between the shares of matrices
 */
public record TensorParallel(@Nullable Communicator group, boolean sequence) {
  /** One rank has all. */
  public static final TensorParallel NONE = new TensorParallel(null, false);

  public TensorParallel {
    if (group == null && sequence) {
      throw new IllegalArgumentException("one rank alone cannot share a sequence");
    }
  }

  /** As a rank's group has it: {@link #NONE} in a group of one. */
  public static TensorParallel of(Communicator group, boolean sequence) {
    return group.size() == 1 ? NONE : new TensorParallel(group, sequence);
  }

  /** A rank among {@code size} whose memory is to be planned; it exchanges nothing. */
  public static TensorParallel planned(int rank, int size, boolean sequence) {
    return size == 1 ? NONE : new TensorParallel(new AccountingCommunicator(rank, size), sequence);
  }

  /** This rank's place among those that share. */
  public int rank() {
    return group == null ? 0 : group.rank();
  }

  /** How many ranks share. */
  public int size() {
    return group == null ? 1 : group.size();
  }

  /** The tokens of a micro-batch must be a multiple of this. */
  public int tokenMultiple() {
    return sequence ? size() : 1;
  }

  /** The rows of a vocabulary that this rank has; null where it has all. */
  public @Nullable VocabularyPart vocabulary(int size) {
    return group == null ? null : new VocabularyPart(size, group);
  }

  /** Of a tensor with a row for each token, those rows that lie between the shares here. */
  public Tensor ownTokens(Tensor rows) {
    if (!sequence) {
      return rows;
    }
    long own = rows.shape().extent(0) / size();
    return rows.slice(rank() * own, own);
  }

  /** The dropout of a micro-batch of {@code tokens}, of which this rank may have some. */
  public DropoutPlan ofOwnTokens(DropoutPlan dropout, long tokens) {
    return sequence ? dropout.from(Math.toIntExact(rank() * (tokens / size()))) : dropout;
  }

  /** Into a share whose first product saves its input: {@code product} of {@code x}. */
  Tensor enter(Tape tape, Tensor x, UnaryOperator<Tensor> product) {
    Communicator ranks = group;
    if (ranks == null) {
      return product.apply(x);
    }
    if (!sequence) {
      return product.apply(CopyToGroup.forward(tape, ranks, x));
    }
    GatherTokens gathered = GatherTokens.keeping(tape, ranks, x);
    Tensor y = product.apply(gathered.y());
    gathered.discardGathered(tape);
    return y;
  }

  /** Into a share that keeps nothing of its input: x of all tokens. */
  Tensor enter(Tape tape, Tensor x) {
    if (group == null) {
      return x;
    }
    return sequence ? GatherTokens.forward(tape, group, x) : CopyToGroup.forward(tape, group, x);
  }

  /** Out of a share: {@code x} is what this rank contributes to all tokens, taken over. */
  Tensor leave(Tape tape, Tensor x) {
    if (group == null) {
      return x;
    }
    return sequence
        ? ScatterTokens.forward(tape, group, x)
        : ReduceFromGroup.forward(tape, group, x);
  }

  /** The group, where there is one. */
  Communicator ranks() {
    return Objects.requireNonNull(group, "one rank has all");
  }
}
