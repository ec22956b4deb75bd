package io.panatron.kernels.cpu;

import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy of {@code x weight^T} against labels, and its gradients, holding the logits of a
 * few hundred tokens at a time. The passes over them are {@link CrossEntropyChunks}'.
 */
final class CpuLinearCrossEntropy {
  private final CpuWorkers workers;
  private final CrossEntropyChunks.Limits limits;
  private int[] rows = new int[0];

  CpuLinearCrossEntropy(CpuWorkers workers) {
    this(workers, CrossEntropyChunks.Limits.STANDARD);
  }

  CpuLinearCrossEntropy(CpuWorkers workers, CrossEntropyChunks.Limits limits) {
    this.workers = workers;
    this.limits = limits;
  }

  /** See {@link io.panatron.kernels.Backend#linearCrossEntropyForward}. */
  void forward(
      MemoryScope scope, Tensor x, Tensor weight, Tensor labels, Tensor losses, Tensor logSumExp) {
    run(scope, x, weight, labels, new Outputs(losses, logSumExp, false, null, null, null, false));
  }

  /** See {@link io.panatron.kernels.Backend#linearCrossEntropyBackward}. */
  void backward(
      MemoryScope scope,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    run(scope, x, weight, labels, new Outputs(null, logSumExp, true, dLosses, dx, dWeight, false));
  }

  /** See {@link io.panatron.kernels.Backend#linearCrossEntropyForwardBackward}. */
  void forwardBackward(
      MemoryScope scope,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    run(scope, x, weight, labels, new Outputs(losses, null, false, dLosses, dx, dWeight, false));
  }

  /** See {@link io.panatron.kernels.Backend#linearDftForwardBackward}. */
  void dftForwardBackward(
      MemoryScope scope,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    run(scope, x, weight, labels, new Outputs(losses, null, false, dLosses, dx, dWeight, true));
  }

  /** See {@link io.panatron.kernels.Backend#partialCrossEntropyForward}. */
  void forward(
      MemoryScope scope,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor losses,
      Tensor logSumExp) {
    Outputs outputs = new Outputs(losses, logSumExp, false, null, null, null, false);
    run(scope, x, weight, part, labels, outputs);
  }

  /** See {@link io.panatron.kernels.Backend#partialCrossEntropyBackward}. */
  void backward(
      MemoryScope scope,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      Tensor dx,
      Tensor dWeight) {
    Outputs outputs = new Outputs(null, logSumExp, true, dLosses, dx, dWeight, false);
    run(scope, x, weight, part, labels, outputs);
  }

  /** See {@link io.panatron.kernels.Backend#partialCrossEntropyForwardBackward}. */
  void forwardBackward(
      MemoryScope scope,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor dLosses,
      boolean dft,
      Tensor losses,
      Tensor dx,
      Tensor dWeight) {
    Outputs outputs = new Outputs(losses, null, false, dLosses, dx, dWeight, dft);
    run(scope, x, weight, part, labels, outputs);
  }

  private void run(MemoryScope scope, Tensor x, Tensor weight, Tensor labels, Outputs outputs) {
    run(scope, x, weight, null, labels, outputs);
  }

  private void run(
      MemoryScope scope,
      Tensor x,
      Tensor weight,
      @Nullable VocabularyPart part,
      Tensor labels,
      Outputs outputs) {
    int count = collectRows(labels, part == null ? weight.shape().rows() : part.size());
    outputs.clear(x.shape().rows() > count);
    if (count > 0) {
      CrossEntropyChunks.run(workers, limits, scope, x, weight, part, labels, rows, count, outputs);
    }
  }

  /** Fills {@code rows} with the tokens that have a label and returns how many there are. */
  private int collectRows(Tensor labels, int vocab) {
    int tokens = Math.toIntExact(labels.elements());
    if (rows.length < tokens) {
      rows = new int[tokens];
    }
    MemorySegment segment = HostMemory.of(labels);
    int count = 0;
    for (int t = 0; t < tokens; t++) {
      int label = segment.getAtIndex(ValueLayout.JAVA_INT, t);
      if (label >= vocab) {
        throw new IllegalArgumentException(
            "label " + label + " of token " + t + " is not below the vocabulary size " + vocab);
      }
      if (label >= 0) {
        rows[count++] = t;
      }
    }
    return count;
  }

  /**
   * What one call reads and writes besides x, weight and labels.
   *
   * @param losses written if given
   * @param logSumExp written, or read if {@code normalised}; without it, kept nowhere
   * @param dLosses if given, gradients are computed: {@code dx} and {@code dWeight}, where given
   * @param dft whether a token's gradient is multiplied by the probability of its label
   */
  record Outputs(
      @Nullable Tensor losses,
      @Nullable Tensor logSumExp,
      boolean normalised,
      @Nullable Tensor dLosses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight,
      boolean dft) {
    boolean differentiates() {
      return dLosses != null;
    }

    /** Tokens without a label have loss, statistics and input gradient 0. */
    private void clear(boolean someUnlabelled) {
      if (someUnlabelled) {
        for (Tensor tensor : Arrays.asList(losses, normalised ? null : logSumExp, dx)) {
          if (tensor != null) {
            HostMemory.of(tensor).fill((byte) 0);
          }
        }
      }
    }
  }
}
