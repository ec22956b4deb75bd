package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The number of threads changes when a tile is computed, never what it holds. */
class CpuThreadCountTest {
  private static final DropoutMask MASK = new DropoutMask(0.2, 42, 3, 1, 5, 0);

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void linearHasTheSameBitsOnAnyNumberOfThreads(DType dtype) {
    assertSameBits(f -> {
      Tensor x = f.normal(dtype, 1, 601, 72);
      Tensor weight = f.normal(dtype, 0.1, 530, 72);
      Tensor bias = f.normal(dtype, 1, 530);
      Tensor y = f.scope().allocate("y", dtype, 601, 530);
      Tensor dx = f.scope().allocate("dx", dtype, 601, 72);
      Tensor dWeight = f.normal(DType.F32, 1, 530, 72);
      Tensor dBias = f.normal(DType.F32, 1, 530);
      CpuLinear linear = new CpuLinear(f.workers());
      linear.forward(f.scope(), x, weight, bias, y);
      linear.backwardInput(f.scope(), y, weight, dx);
      linear.backwardWeight(f.scope(), x, y, dWeight, dBias);
      return List.of(y, dx, dWeight, dBias);
    });
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void fewRowsHaveTheSameBitsOnAnyNumberOfThreads(DType dtype) {
    assertSameBits(f -> {
      Tensor x = f.normal(dtype, 1, 7, 520);
      Tensor weight = f.normal(dtype, 0.1, 530, 520);
      Tensor y = f.scope().allocate("y", DType.F32, 7, 530);
      new CpuLinear(f.workers()).forward(f.scope(), x, weight, null, y);
      return List.of(y);
    });
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void singleQueriesHaveTheSameBitsOnAnyNumberOfThreads(DType dtype) {
    int[] starts = {0, 800};
    AttentionLayout layout = new AttentionLayout(new int[] {0, 1, 2}, starts, new int[] {800, 300});
    assertSameBits(f -> {
      Tensor q = f.normal(dtype, 1, 2, 4, 24);
      Tensor k = f.normal(dtype, 1, 1100, 2, 24);
      Tensor v = f.normal(dtype, 1, 1100, 2, 24);
      Tensor out = f.scope().allocate("out", dtype, 2, 4, 24);
      Tensor logSumExp = f.scope().allocate("logSumExp", DType.F32, 2, 4);
      new CpuAttention(f.workers()).forward(f.scope(), q, k, v, layout, 0.2, null, out, logSumExp);
      return List.of(out, logSumExp);
    });
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void attentionHasTheSameBitsOnAnyNumberOfThreads(DType dtype) {
    AttentionLayout layout = AttentionLayout.packed(new int[] {0, 700, 703, 1000});
    assertSameBits(f -> {
      Tensor q = f.normal(dtype, 1, 1000, 4, 24);
      Tensor k = f.normal(dtype, 1, 1000, 2, 24);
      Tensor v = f.normal(dtype, 1, 1000, 2, 24);
      Tensor dOut = f.normal(dtype, 1, 1000, 4, 24);
      Tensor out = f.scope().allocate("out", dtype, 1000, 4, 24);
      Tensor logSumExp = f.scope().allocate("logSumExp", DType.F32, 1000, 4);
      Tensor dq = f.scope().allocate("dq", dtype, 1000, 4, 24);
      Tensor dk = f.scope().allocate("dk", dtype, 1000, 2, 24);
      Tensor dv = f.scope().allocate("dv", dtype, 1000, 2, 24);
      new CpuAttention(f.workers()).forward(f.scope(), q, k, v, layout, 0.2, MASK, out, logSumExp);
      new CpuAttentionBackward(f.workers())
          .backward(f.scope(), q, k, v, out, logSumExp, dOut, layout, 0.2, MASK, dq, dk, dv);
      return List.of(out, logSumExp, dq, dk, dv);
    });
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void dropoutHasTheSameBitsOnAnyNumberOfThreads(DType dtype) {
    assertSameBits(f -> {
      Tensor x = f.normal(dtype, 1, 700, 130);
      new CpuDropout(f.workers().pool()).dropout(x, MASK, x);
      return List.of(x);
    });
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void crossEntropyHasTheSameBitsOnAnyNumberOfThreads(DType dtype) {
    assertSameBits(f -> {
      Tensor x = f.normal(dtype, 1, 650, 40);
      Tensor weight = f.normal(dtype, 0.5, 1100, 40);
      Tensor labels = f.labels(650, 1100);
      Tensor dLosses = f.normal(DType.F32, 1, 650);
      Tensor losses = f.scope().allocate("losses", DType.F32, 650);
      Tensor dx = f.scope().allocate("dx", dtype, 650, 40);
      Tensor dWeight = f.normal(DType.F32, 1, 1100, 40);
      new CpuLinearCrossEntropy(f.workers())
          .forwardBackward(f.scope(), x, weight, labels, dLosses, losses, dx, dWeight);
      return List.of(losses, dx, dWeight);
    });
  }

  private interface Computation {
    List<Tensor> run(CpuFixture fixture);
  }

  private static void assertSameBits(Computation computation) {
    List<float[]> alone = results(1, computation);
    for (int threads = 2; threads <= 3; threads++) {
      List<float[]> together = results(threads, computation);
      for (int i = 0; i < alone.size(); i++) {
        assertThat(Arrays.mismatch(together.get(i), alone.get(i)))
            .as("first element of result %d that differs on %d threads", i, threads)
            .isEqualTo(-1);
      }
    }
  }

  private static List<float[]> results(int threads, Computation computation) {
    try (CpuFixture fixture = new CpuFixture(threads)) {
      List<float[]> results = new ArrayList<>();
      for (Tensor tensor : computation.run(fixture)) {
        results.add(fixture.read(tensor));
      }
      return results;
    }
  }
}
