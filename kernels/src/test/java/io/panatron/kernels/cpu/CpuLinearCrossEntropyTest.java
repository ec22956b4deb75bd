package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import io.panatron.kernels.reference.ReferenceBackend;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class CpuLinearCrossEntropyTest {
  private static final int TOKENS = 300;
  private static final int VOCAB = 1300;
  private static final int HIDDEN = 36;

  /** As little memory as possible: 128 tokens at a time, one tile of the weight widened. */
  private static final CrossEntropyChunks.Limits LEAST = new CrossEntropyChunks.Limits(1, 1);

  @Test
  void aWeightWidenedInPanelsGivesTheResultsOfTheReference() {
    widenedInPanels(
        CpuLinearCrossEntropy::forwardBackward, Backend::linearCrossEntropyForwardBackward);
    widenedInPanels(CpuLinearCrossEntropy::dftForwardBackward, Backend::linearDftForwardBackward);
  }

  /** Forward and backward at once of {@code B}. */
  private interface AtOnce<B> {
    void run(
        B backend,
        MemoryScope scope,
        Tensor x,
        Tensor weight,
        Tensor labels,
        Tensor dLosses,
        Tensor losses,
        Tensor dx,
        Tensor dWeight);
  }

  private static void widenedInPanels(
      AtOnce<CpuLinearCrossEntropy> tested, AtOnce<Backend> expected) {
    try (CpuFixture f = new CpuFixture(2);
        Backend reference = new ReferenceBackend()) {
      MemoryScope s = f.scope();
      Tensor x = f.normal(DType.BF16, 1, TOKENS, HIDDEN);
      Tensor weight = f.normal(DType.BF16, 0.5, VOCAB, HIDDEN);
      Tensor labels = f.labels(TOKENS, VOCAB);
      Tensor dLosses = f.normal(DType.F32, 1, TOKENS);
      Tensor dWeight = f.normal(DType.F32, 0.1, VOCAB, HIDDEN);
      Tensor expectedDWeight = f.widened(dWeight);
      Tensor losses = s.allocate("losses", DType.F32, TOKENS);
      Tensor expectedLosses = s.allocate("losses", DType.F32, TOKENS);
      Tensor dx = s.allocate("dx", DType.BF16, TOKENS, HIDDEN);
      Tensor expectedDx = s.allocate("dx", DType.F32, TOKENS, HIDDEN);
      tested.run(
          new CpuLinearCrossEntropy(f.workers(), LEAST),
          s,
          x,
          weight,
          labels,
          dLosses,
          losses,
          dx,
          dWeight);
      expected.run(
          reference,
          s,
          f.widened(x),
          f.widened(weight),
          labels,
          dLosses,
          expectedLosses,
          expectedDx,
          expectedDWeight);
      Differences.assertClose(
          "losses", f.read(losses), f.read(expectedLosses), Differences.F32_SUMS);
      Differences.assertClose(
          "dWeight", f.read(dWeight), f.read(expectedDWeight), Differences.F32_SUMS);
      Differences.assertClose("dx", f.read(dx), f.read(expectedDx), Differences.BF16_STORED);
    }
  }

  @Test
  void logitsOfHugeVocabulariesTakeNoMoreMemoryThanTheLimit() {
    try (CpuFixture f = new CpuFixture(1)) {
      int tokens = 1000;
      Tensor x = f.normal(DType.F32, 1, tokens, 4);
      Tensor weight = f.normal(DType.F32, 1, VOCAB, 4);
      Tensor losses = f.scope().allocate("losses", DType.F32, tokens);
      Tensor logSumExp = f.scope().allocate("logSumExp", DType.F32, tokens);
      Tensor labels = f.labels(tokens, VOCAB);
      long before = f.scope().currentBytes();
      new CpuLinearCrossEntropy(f.workers(), LEAST)
          .forward(f.scope(), x, weight, labels, losses, logSumExp);
      assertThat(f.scope().currentBytes()).isEqualTo(before);
      assertThat(f.scope().peakBytes() - before)
          .isLessThan((long) tokens * VOCAB * Float.BYTES / 4);
    }
  }

  @Test
  void aLabelPastTheVocabularyIsNamed() {
    try (CpuFixture f = new CpuFixture(1)) {
      Tensor x = f.normal(DType.F32, 1, 2, 4);
      Tensor weight = f.normal(DType.F32, 1, 10, 4);
      Tensor losses = f.scope().allocate("losses", DType.F32, 2);
      Tensor labels = f.scope().allocate("labels", DType.I32, 2);
      HostMemory.of(labels).setAtIndex(ValueLayout.JAVA_INT, 0, 9);
      HostMemory.of(labels).setAtIndex(ValueLayout.JAVA_INT, 1, 10);
      CpuLinearCrossEntropy crossEntropy = new CpuLinearCrossEntropy(f.workers());
      assertThatThrownBy(() -> crossEntropy.forward(f.scope(), x, weight, labels, losses, losses))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("label 10 of token 1");
    }
  }
}
