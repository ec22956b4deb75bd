package io.panatron.kernels.cpu;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.reference.ReferenceBackend;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sequences of more than one block of keys and more than one range, against the reference. */
class CpuAttentionLongTest {
  private static final double SCALE = 0.3;

  @ParameterizedTest
  @CsvSource({"1100, 1, 1, 16", "1029, 3, 1, 10", "2100, 2, 1, 8", "1030, 2, 2, 5"})
  void longSequencesAgreeWithTheReference(int length, int queryHeads, int keyHeads, int headDim) {
    AttentionLayout layout = AttentionLayout.packed(new int[] {0, length, length + 3});
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
      new CpuAttention(f.workers()).forward(s, q, k, v, layout, SCALE, actual[0], actual[1]);
      new CpuAttentionBackward(f.workers())
          .backward(
              s, q, k, v, actual[0], actual[1], dOut, layout, SCALE, actual[2], actual[3],
              actual[4]);
      reference.attentionForward(s, q, k, v, layout, SCALE, expected[0], expected[1]);
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
  @CsvSource({"1, 700", "3, 1025", "70, 600"})
  void fewQueriesSeeTheKeysBeforeThem(int queries, int keys) {
    AttentionLayout layout =
        new AttentionLayout(new int[] {0, queries}, new int[] {5}, new int[] {keys});
    try (CpuFixture f = new CpuFixture(2);
        Backend reference = new ReferenceBackend()) {
      MemoryScope s = f.scope();
      Tensor q = f.normal(DType.F32, 1, queries, 4, 12);
      Tensor k = f.normal(DType.F32, 1, keys + 9, 2, 12);
      Tensor v = f.normal(DType.F32, 1, keys + 9, 2, 12);
      Tensor[] actual = results(s, q, k);
      Tensor[] expected = results(s, q, k);
      new CpuAttention(f.workers()).forward(s, q, k, v, layout, SCALE, actual[0], actual[1]);
      reference.attentionForward(s, q, k, v, layout, SCALE, expected[0], expected[1]);
      Differences.assertClose("out", f.read(actual[0]), f.read(expected[0]), Differences.F32_SUMS);
      Differences.assertClose(
          "logSumExp", f.read(actual[1]), f.read(expected[1]), Differences.F32_SUMS);
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
