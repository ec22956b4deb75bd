package io.panatron.runtime.autograd;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The loss of each token from the last hidden states, never holding all logits: {@code losses[t] =
 * logSumExp(x[t] head^T) - (x[t] head^T)[labels[t]]}; 0 where the label is negative.
 *
 * <p><b>Shapes</b>: x: [tokens, hidden]; head: [vocab, hidden]; labels: [tokens] I32, borrowed
 * until backward; losses: [tokens].
 *
 * <p>There are two ways to differentiate it. When the gradients of the losses are known beforehand,
 * which holds for every loss that is a weighted sum over tokens, {@link #forwardWeighted} computes
 * everything in one visit to the logits. Otherwise {@link #forward} saves its input and backward
 * computes the logits again.
 *
 * <p>Where ranks share the head by rows, each computes its own logits, and {@code dx} is what they
 * contribute.
 *
 * @param part null where the head is whole
 * @param dx the finished input gradient of a weighted forward, else null; also null where nobody
 *     needs it
 * @param logSumExp saved by a plain forward, else null
 */
public record LinearCrossEntropy(
    Tensor x,
    Parameter head,
    @Nullable VocabularyPart part,
    Tensor labels,
    Tensor losses,
    @Nullable Tensor logSumExp,
    @Nullable Tensor dx)
    implements Op {

  /** Losses whose gradients are decided later, through {@link Tape#giveGradient}. */
  public static Tensor forward(Tape tape, Tensor x, Parameter head, Tensor labels) {
    return forward(tape, x, head, null, labels);
  }

  /** As above, of a head that ranks may share. */
  public static Tensor forward(
      Tape tape, Tensor x, Parameter head, @Nullable VocabularyPart part, Tensor labels) {
    Tensor losses = allocateRows(tape, "losses", x);
    Tensor logSumExp = allocateRows(tape, "logSumExp", x);
    Backend backend = tape.backend();
    if (part == null) {
      backend.linearCrossEntropyForward(tape.scope(), x, head.value(), labels, losses, logSumExp);
    } else {
      backend.partialCrossEntropyForward(
          tape.scope(), x, head.value(), part, labels, losses, logSumExp);
    }
    if (tape.records(head.isTrained() || !tape.isConstant(x), losses)) {
      tape.record(new LinearCrossEntropy(x, head, part, labels, losses, logSumExp, null));
    } else {
      tape.release(x);
      tape.release(logSumExp);
    }
    return losses;
  }

  /**
   * Cross-entropies of which {@code kind} makes losses whose gradients are {@code dLosses}: the
   * gradient of the head is accumulated here, that of {@code x} waits on the tape. The tape must
   * record.
   */
  public static Tensor forwardWeighted(
      Tape tape, Tensor x, Parameter head, Tensor labels, Tensor dLosses, TokenLoss kind) {
    return forwardWeighted(tape, x, head, null, labels, dLosses, kind);
  }

  /** As above, of a head that ranks may share. */
  public static Tensor forwardWeighted(
      Tape tape,
      Tensor x,
      Parameter head,
      @Nullable VocabularyPart part,
      Tensor labels,
      Tensor dLosses,
      TokenLoss kind) {
    Tensor losses = allocateRows(tape, "losses", x);
    Tensor dx = tape.isConstant(x) ? null : tape.scope().allocate("head dx", x.dtype(), x.shape());
    Backend backend = tape.backend();
    MemoryScope scope = tape.scope();
    Tensor weight = head.value();
    Tensor dWeight = head.beginGradientIfTrained(tape);
    if (part != null) {
      backend.partialCrossEntropyForwardBackward(
          scope,
          x,
          weight,
          part,
          labels,
          dLosses,
          kind == TokenLoss.DFT,
          losses,
          trained(dx),
          trained(dWeight));
    } else {
      switch (kind) {
        case CROSS_ENTROPY ->
            backend.linearCrossEntropyForwardBackward(
                scope, x, weight, labels, dLosses, losses, dx, dWeight);
        case DFT ->
            backend.linearDftForwardBackward(
                scope, x, weight, labels, dLosses, losses, dx, dWeight);
      }
    }
    head.endGradientIfTrained(tape, dWeight);
    tape.release(x);
    if (tape.records(dx != null, losses)) {
      tape.record(new LinearCrossEntropy(x, head, part, labels, losses, null, dx));
    }
    return losses;
  }

  /** Where ranks share a head, nothing is frozen. */
  private static Tensor trained(@Nullable Tensor gradient) {
    return Objects.requireNonNull(gradient, "a head that ranks share is trained");
  }

  private static Tensor allocateRows(Tape tape, String label, Tensor x) {
    return tape.allocate(label, x.dtype().accumulator(), x.shape().rows());
  }

  @Override
  public void backward(Tape tape) {
    if (dx != null) {
      tape.giveGradient(x, dx);
      return;
    }
    if (logSumExp == null) {
      throw new IllegalStateException("a plain forward saves its row statistics");
    }
    Tensor dLosses = tape.takeGradient(losses);
    Tensor gradient =
        tape.isConstant(x) ? null : tape.scope().allocate("head dx", x.dtype(), x.shape());
    Tensor dHead = head.beginGradientIfTrained(tape);
    Backend backend = tape.backend();
    if (part == null) {
      backend.linearCrossEntropyBackward(
          tape.scope(), x, head.value(), labels, logSumExp, dLosses, gradient, dHead);
    } else {
      backend.partialCrossEntropyBackward(
          tape.scope(),
          x,
          head.value(),
          part,
          labels,
          logSumExp,
          dLosses,
          trained(gradient),
          trained(dHead));
    }
    head.endGradientIfTrained(tape, dHead);
    tape.release(dLosses);
    tape.release(logSumExp);
    tape.release(x);
    if (gradient != null) {
      tape.giveGradient(x, gradient);
    }
  }
}
