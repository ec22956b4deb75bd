package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import io.panatron.kernels.reference.ReferenceBackend;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Sequences of more than one block of keys and more than one range, against the reference. */
class CpuAttentionLongTest {
  private static final double SCALE = 0.3;

  @ParameterizedTest
  @CsvSource({
    "1100, 1, 1, 16, 9999, 0",
    "1029, 3, 1, 10, 9999, 0",
    "2100, 2, 1, 8, 9999, 0",
    "1030, 2, 2, 5, 9999, 0",
    "2100, 2, 1, 8, 2, 0",
    "2100, 3, 1, 8, 70, 0",
    "1029, 1, 1, 10, 511, 0",
    "1800, 2, 2, 5, 600, 0",
    "1100, 2, 1, 16, 1099, 0",
    "2100, 3, 1, 8, 9999, 0.1",
    "1100, 3, 1, 8, 70, 0.1",
    "1800, 2, 2, 5, 600, 0.6"
  })
  void longSequencesAgreeWithTheReference(
      int length, int queryHeads, int keyHeads, int headDim, int window, double dropout) {
    DropoutMask mask = dropout == 0 ? null : new DropoutMask(dropout, -7, 3, 1, 5, 2);
    AttentionLayout layout =
        AttentionLayout.packed(new int[] {0, length, length + 3}).withWindow(window);
    int tokens = length + 3;
    try (CpuFixture f = new CpuFixture(2);
        Backend reference = new ReferenceBackend()) {
      MemoryScope s = f.scope();
      Tensor q = f.normal(DType.F32, 1, tokens, queryHeads, headDim);
      Tensor k = f.normal(DType.F32, 1, tokens, keyHeads, headDim);
      Tensor v = f.normal(DType.F32, 1, tokens, keyHeads, headDim);
      Tensor dOut = f.normal(DType.F32, 1, tokens, queryHeads, headDim);
      Tensor[] actual = results(s, q, k);
      Tensor[] expected = results(s, q, k);
      new CpuAttention(f.workers()).forward(s, q, k, v, layout, SCALE, mask, actual[0], actual[1]);
      new CpuAttentionBackward(f.workers())
          .backward(
              s, q, k, v, actual[0], actual[1], dOut, layout, SCALE, mask, actual[2], actual[3],
              actual[4]);
      reference.attentionForward(s, q, k, v, layout, SCALE, mask, expected[0], expected[1]);
      reference.attentionBackward(
          s,
          q,
          k,
          v,
          expected[0],
          expected[1],
          dOut,
          layout,
          SCALE,
          mask,
          expected[2],
          expected[3],
          expected[4]);
      String[] names = {"out", "logSumExp", "dq", "dk", "dv"};
      for (int i = 0; i < names.length; i++) {
        Differences.assertClose(
            names[i], f.read(actual[i]), f.read(expected[i]), Differences.F32_SUMS);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 700, 9999",
    "3, 1025, 9999",
    "70, 600, 9999",
    "1, 700, 600",
    "3, 1025, 5",
    "70, 600, 530"
  })
  void fewQueriesSeeTheKeysBeforeThem(int queries, int keys, int window) {
    AttentionLayout layout =
        new AttentionLayout(new int[] {0, queries}, new int[] {5}, new int[] {keys})
            .withWindow(window);
    try (CpuFixture f = new CpuFixture(2);
        Backend reference = new ReferenceBackend()) {
      MemoryScope s = f.scope();
      Tensor q = f.normal(DType.F32, 1, queries, 4, 12);
      Tensor k = f.normal(DType.F32, 1, keys + 9, 2, 12);
      Tensor v = f.normal(DType.F32, 1, keys + 9, 2, 12);
      Tensor[] actual = results(s, q, k);
      Tensor[] expected = results(s, q, k);
      new CpuAttention(f.workers()).forward(s, q, k, v, layout, SCALE, null, actual[0], actual[1]);
      reference.attentionForward(s, q, k, v, layout, SCALE, expected[0], expected[1]);
      Differences.assertClose("out", f.read(actual[0]), f.read(expected[0]), Differences.F32_SUMS);
      Differences.assertClose(
          "logSumExp", f.read(actual[1]), f.read(expected[1]), Differences.F32_SUMS);
    }
  }

  /**
   * What query-key layer scaling is for: float16 ends at 65,504. Here scores are powers of two, so
   * that two equal ones get one half each, and a lesser one nothing.
   */
  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void scoresMayExceedTheRangeOfFloat16(DType dtype) {
    try (CpuFixture f = new CpuFixture(1)) {
      MemoryScope s = f.scope();
      float large = 512;
      Tensor q = f.numbers(dtype, new float[] {0, 0, 0, 0, large, large}, 3, 1, 2);
      Tensor k = f.numbers(dtype, new float[] {large, 0, 0, large, -large, 0}, 3, 1, 2);
      Tensor v = f.numbers(dtype, new float[] {3, 8, 5, 16, 100, 100}, 3, 1, 2);
      Tensor out = s.allocate("out", dtype, 3, 1, 2);
      Tensor logSumExp = s.allocate("logSumExp", DType.F32, 3, 1);
      AttentionLayout layout = AttentionLayout.packed(new int[] {0, 3});
      new CpuAttention(f.workers()).forward(s, q, k, v, layout, 1, null, out, logSumExp);
      assertThat(f.read(out.slice(2, 1))).containsExactly(4, 12);
      assertThat((double) f.read(logSumExp)[2]).isCloseTo(512 * 512 + Math.log(2), within(0.05));
    }
  }

  /** A product with a key that is not a number would show, even under a weight of zero. */
  @ParameterizedTest
  @CsvSource({"1100, 64, 2", "1500, 600, 1"})
  void keysBehindTheWindowAreNotEvenMultiplied(int length, int window, int keyHeads) {
    AttentionLayout layout = AttentionLayout.packed(new int[] {0, length}).withWindow(window);
    int hidden = 200;
    // The windows of the queries from here on begin behind the hidden keys, with those of the
    // other queries of their block.
    int clean = hidden + window + AttentionShape.MOST_QUERIES;
    try (CpuFixture f = new CpuFixture(2)) {
      MemoryScope s = f.scope();
      Tensor q = f.normal(DType.F32, 1, length, 2, 8);
      Tensor k = f.normal(DType.F32, 1, length, keyHeads, 8);
      Tensor v = f.normal(DType.F32, 1, length, keyHeads, 8);
      Tensor dOut = f.normal(DType.F32, 1, length, 2, 8);
      HostMemory.of(k.slice(0, hidden)).fill((byte) 0xff);
      HostMemory.of(v.slice(0, hidden)).fill((byte) 0xff);
      Tensor[] results = results(s, q, k);
      new CpuAttention(f.workers())
          .forward(s, q, k, v, layout, SCALE, null, results[0], results[1]);
      new CpuAttentionBackward(f.workers())
          .backward(
              s,
              q,
              k,
              v,
              results[0],
              results[1],
              dOut,
              layout,
              SCALE,
              null,
              results[2],
              results[3],
              results[4]);
      for (Tensor result : results) {
        for (double value : f.read(result.slice(clean, length - clean))) {
          assertThat(value).isFinite();
        }
      }
      assertThat(f.read(results[0].slice(0, 1))).containsOnly(Float.NaN);
    }
  }

  /** out, logSumExp, dq, dk, dv. */
  private static Tensor[] results(MemoryScope scope, Tensor q, Tensor k) {
    return new Tensor[] {
      scope.allocate("out", DType.F32, q.shape()),
      scope.allocate("logSumExp", DType.F32, q.shape().extent(0), q.shape().extent(1)),
      scope.allocate("dq", DType.F32, q.shape()),
      scope.allocate("dk", DType.F32, k.shape()),
      scope.allocate("dv", DType.F32, k.shape())
    };
  }
}
