package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.Tensor;
import java.util.Arrays;
import java.util.function.DoubleSupplier;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Gradients of attention over packed sequences, and what its forward promises besides. */
final class AttentionGradientTest {
  /** Sequences of 1, 3 and 4 tokens. */
  private static final int[] STARTS = {0, 1, 4, 8};

  private static final int TOKENS = 8;
  private static final double SCALE = 0.7;

  private final GradientCheck check = new GradientCheck(3);

  @AfterEach
  void verifyMemory() {
    check.close();
  }

  @ParameterizedTest
  @CsvSource({
    "3, 1, 4, 99, 0",
    "3, 3, 6, 99, 0",
    "4, 2, 5, 99, 0",
    "3, 1, 4, 2, 0",
    "4, 2, 5, 3, 0",
    "3, 1, 4, 99, 0.3",
    "4, 2, 5, 3, 0.3"
  })
  @GradientOf("attentionBackward")
  void attentionGradientIsTheSlopeInQueriesKeysAndValues(
      int queryHeads, int keyHeads, int headDim, int window, double dropout) {
    DropoutMask mask = dropout == 0 ? null : new DropoutMask(dropout, 42, 1, 0, 1, 0);
    AttentionLayout layout = AttentionLayout.packed(STARTS).withWindow(window);
    Tensor q = check.normal(TOKENS, queryHeads, headDim);
    Tensor k = check.normal(TOKENS, keyHeads, headDim);
    Tensor v = check.normal(TOKENS, keyHeads, headDim);
    Tensor out = check.empty(TOKENS, queryHeads, headDim);
    Tensor logSumExp = check.empty(TOKENS, queryHeads);
    Tensor dOut = check.normal(TOKENS, queryHeads, headDim);
    DoubleSupplier loss =
        () -> {
          check
              .backend()
              .attentionForward(check.scratch(), q, k, v, layout, SCALE, mask, out, logSumExp);
          return check.weigh(dOut, out);
        };
    assertThat(loss.getAsDouble()).isFinite();
    Tensor dq = check.empty(TOKENS, queryHeads, headDim);
    Tensor dk = check.empty(TOKENS, keyHeads, headDim);
    Tensor dv = check.empty(TOKENS, keyHeads, headDim);
    check
        .backend()
        .attentionBackward(
            check.scratch(), q, k, v, out, logSumExp, dOut, layout, SCALE, mask, dq, dk, dv);
    check.verify("q", q, check.read(dq), loss);
    check.verify("k", k, check.read(dk), loss);
    check.verify("v", v, check.read(dv), loss);
  }

  @Test
  void logSumExpIsTheSlopePotentialOfTheScores() {
    Tensor q = check.normal(1, 1, 4);
    Tensor k = check.normal(3, 1, 4);
    Tensor v = check.normal(3, 1, 4);
    Tensor out = check.empty(1, 1, 4);
    Tensor logSumExp = check.empty(1, 1);
    AttentionLayout layout = new AttentionLayout(new int[] {0, 1}, new int[] {0}, new int[] {3});
    check.backend().attentionForward(check.scratch(), q, k, v, layout, SCALE, out, logSumExp);
    double[] qs = check.read(q);
    double[] ks = check.read(k);
    double sum = 0;
    for (int j = 0; j < 3; j++) {
      double score = 0;
      for (int i = 0; i < 4; i++) {
        score += SCALE * qs[i] * ks[4 * j + i];
      }
      sum += Math.exp(score);
    }
    assertThat(check.read(logSumExp)[0]).isCloseTo(Math.log(sum), Offset.offset(1e-14));
  }

  @Test
  void newQueriesOverACacheGiveTheLastRowsOfFullAttention() {
    int keys = 9;
    int fresh = 3;
    Tensor q = check.normal(keys, 4, 6);
    Tensor k = check.normal(keys, 2, 6);
    Tensor v = check.normal(keys, 2, 6);
    Tensor whole = check.empty(keys, 4, 6);
    Tensor tail = check.empty(fresh, 4, 6);
    Tensor wholeLog = check.empty(keys, 4);
    Tensor tailLog = check.empty(fresh, 4);
    AttentionLayout full = AttentionLayout.packed(new int[] {0, keys});
    AttentionLayout decode =
        new AttentionLayout(new int[] {0, fresh}, new int[] {0}, new int[] {keys});
    check.backend().attentionForward(check.scratch(), q, k, v, full, SCALE, whole, wholeLog);
    check
        .backend()
        .attentionForward(
            check.scratch(), q.slice(keys - fresh, fresh), k, v, decode, SCALE, tail, tailLog);
    assertThat(check.read(tail)).isEqualTo(check.read(whole.slice(keys - fresh, fresh)));
    assertThat(check.read(tailLog)).isEqualTo(check.read(wholeLog.slice(keys - fresh, fresh)));
  }

  @ParameterizedTest
  @CsvSource({"1", "2", "3"})
  void aQuerySeesAsManyKeysAsTheWindowHas(int window) {
    int tokens = 5;
    Tensor q = check.normal(tokens, 1, 4);
    Tensor k = check.normal(tokens, 1, 4);
    Tensor v = check.normal(tokens, 1, 4);
    Tensor out = check.empty(tokens, 1, 4);
    check
        .backend()
        .attentionForward(
            check.scratch(),
            q,
            k,
            v,
            AttentionLayout.packed(new int[] {0, tokens}).withWindow(window),
            SCALE,
            out,
            check.empty(tokens, 1));
    for (int i = 0; i < tokens; i++) {
      int first = Math.max(0, i - window + 1);
      int seen = i + 1 - first;
      Tensor alone = check.empty(1, 1, 4);
      check
          .backend()
          .attentionForward(
              check.scratch(),
              q.slice(i, 1),
              k.slice(first, seen),
              v.slice(first, seen),
              new AttentionLayout(new int[] {0, 1}, new int[] {0}, new int[] {seen}),
              SCALE,
              alone,
              check.empty(1, 1));
      assertThat(check.read(alone)).isEqualTo(check.read(out.slice(i, 1)));
    }
  }

  @Test
  void packedSequencesDoNotSeeEachOther() {
    Tensor q = check.normal(TOKENS, 3, 4);
    Tensor k = check.normal(TOKENS, 1, 4);
    Tensor v = check.normal(TOKENS, 1, 4);
    Tensor together = check.empty(TOKENS, 3, 4);
    check
        .backend()
        .attentionForward(
            check.scratch(),
            q,
            k,
            v,
            AttentionLayout.packed(STARTS),
            SCALE,
            together,
            check.empty(TOKENS, 3));
    for (int s = 0; s + 1 < STARTS.length; s++) {
      int first = STARTS[s];
      int count = STARTS[s + 1] - first;
      Tensor alone = check.empty(count, 3, 4);
      check
          .backend()
          .attentionForward(
              check.scratch(),
              q.slice(first, count),
              k.slice(first, count),
              v.slice(first, count),
              AttentionLayout.packed(new int[] {0, count}),
              SCALE,
              alone,
              check.empty(count, 3));
      assertThat(check.read(alone)).isEqualTo(check.read(together.slice(first, count)));
    }
  }

  @Test
  void aQueryDoesNotSeeLaterKeys() {
    Tensor q = check.normal(4, 1, 4);
    Tensor k = check.normal(4, 1, 4);
    Tensor v = check.normal(4, 1, 4);
    double[] values = check.read(v);
    Arrays.fill(values, 12, 16, Double.NaN);
    Tensor broken = check.tensor(values, 4, 1, 4);
    Tensor out = check.empty(4, 1, 4);
    Tensor brokenOut = check.empty(4, 1, 4);
    Tensor log = check.empty(4, 1);
    AttentionLayout layout = AttentionLayout.packed(new int[] {0, 4});
    check.backend().attentionForward(check.scratch(), q, k, v, layout, SCALE, out, log);
    check.backend().attentionForward(check.scratch(), q, k, broken, layout, SCALE, brokenOut, log);
    assertThat(check.read(brokenOut.slice(0, 3))).isEqualTo(check.read(out.slice(0, 3)));
    assertThat(check.read(brokenOut.slice(3, 1))).containsOnly(Double.NaN);
  }
}
