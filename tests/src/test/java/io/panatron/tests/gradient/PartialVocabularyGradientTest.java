package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AccountingCommunicator;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.tests.parity.OtherRanks;
import java.util.Arrays;
import java.util.function.DoubleSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Gradients of the embedding and the head of one rank of two. What the other rank says of the
 * tokens stays as it is, so that slopes are those through this rank's rows.
 */
final class PartialVocabularyGradientTest {
  private static final int TOKENS = 5;
  private static final int HIDDEN = 6;
  private static final int VOCAB = 7;
  private static final int RANK = 1;
  private static final int[] LABELS = {6, -100, 0, 3, 4};

  private final GradientCheck check = new GradientCheck(11);

  @AfterEach
  void verifyMemory() {
    check.close();
  }

  @Test
  @GradientOf("partialEmbeddingBackward")
  void embeddingGradientIsTheSlopeInTheRowsHere() {
    VocabularyPart part = new VocabularyPart(VOCAB, new AccountingCommunicator(RANK, 2));
    Tensor ids = check.integers(6, 0, 3, 6, 2);
    Tensor table = check.normal(part.rows(), HIDDEN);
    Tensor y = check.empty(TOKENS, HIDDEN);
    Tensor dy = check.normal(TOKENS, HIDDEN);
    Tensor dTable = check.normal(part.rows(), HIDDEN);
    double[] before = check.read(dTable);
    check.backend().partialEmbeddingBackward(check.scratch(), ids, dy, part, dTable);
    check.verify(
        "table",
        table,
        check.added(dTable, before),
        () -> {
          check.backend().partialEmbeddingForward(ids, table, part, y);
          return check.weigh(dy, y);
        });
  }

  private final class Head {
    final double[] whole = check.read(check.normal(VOCAB, HIDDEN));
    final Tensor x = check.normal(TOKENS, HIDDEN);
    final VocabularyPart part =
        new VocabularyPart(
            VOCAB,
            new OtherRanks(check.side(), RANK, check.read(x), whole, LABELS, HIDDEN).group());
    final Tensor weight =
        check.tensor(
            Arrays.copyOfRange(
                whole, part.firstRow() * HIDDEN, (part.firstRow() + part.rows()) * HIDDEN),
            part.rows(),
            HIDDEN);
    final Tensor labels = check.integers(LABELS);
    final Tensor losses = check.empty(TOKENS);
    final Tensor logSumExp = check.empty(TOKENS);
    final Tensor dLosses = check.normal(TOKENS);
    final Tensor dx = check.empty(TOKENS, HIDDEN);
    final Tensor dWeight = check.normal(part.rows(), HIDDEN);
    final double[] before = check.read(dWeight);

    DoubleSupplier weighed(Tensor upstream) {
      return () -> {
        check
            .backend()
            .partialCrossEntropyForward(
                check.scratch(), x, weight, part, labels, losses, logSumExp);
        return check.weigh(upstream, losses);
      };
    }

    void verify(DoubleSupplier loss) {
      check.verify("x", x, check.read(dx), loss);
      check.verify("weight", weight, check.added(dWeight, before), loss);
    }
  }

  @Test
  @GradientOf("partialCrossEntropyBackward")
  void crossEntropyGradientIsTheSlopeInInputAndRows() {
    Head h = new Head();
    DoubleSupplier loss = h.weighed(h.dLosses);
    assertThat(loss.getAsDouble()).isFinite();
    check
        .backend()
        .partialCrossEntropyBackward(
            check.scratch(),
            h.x,
            h.weight,
            h.part,
            h.labels,
            h.logSumExp,
            h.dLosses,
            h.dx,
            h.dWeight);
    h.verify(loss);
  }

  @Test
  @GradientOf("partialCrossEntropyForwardBackward")
  void forwardBackwardIsTheSlopeToo() {
    for (boolean dft : new boolean[] {false, true}) {
      Head h = new Head();
      check
          .backend()
          .partialCrossEntropyForwardBackward(
              check.scratch(),
              h.x,
              h.weight,
              h.part,
              h.labels,
              h.dLosses,
              dft,
              h.losses,
              h.dx,
              h.dWeight);
      double[] crossEntropies = check.read(h.losses);
      double[] upstream = check.read(h.dLosses);
      for (int t = 0; dft && t < TOKENS; t++) {
        upstream[t] *= Math.exp(-crossEntropies[t]);
      }
      DoubleSupplier loss = h.weighed(check.tensor(upstream, TOKENS));
      h.verify(loss);
      assertThat(loss.getAsDouble()).isFinite();
      assertThat(check.read(h.losses)).isEqualTo(crossEntropies);
    }
  }
}
