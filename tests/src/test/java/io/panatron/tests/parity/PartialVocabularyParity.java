package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.EXACT;
import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.insideRounded;
import static io.panatron.tests.parity.Tolerances.pointwise;
import static io.panatron.tests.parity.Tolerances.sum;
import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AccountingCommunicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;

/** The embedding and the head of a rank that holds one of two parts of the vocabulary. */
final class PartialVocabularyParity {
  private PartialVocabularyParity() {}

  /**
   * @param every one token of so many is ignored; 1 ignores all, 0 none
   */
  private record Size(int tokens, int hidden, int vocab, int rank, int every) {}

  private static final List<Size> SIZES =
      List.of(
          new Size(1, 3, 2, 0, 0),
          new Size(2, 3, 7, 1, 0),
          new Size(5, 17, 7, 0, 1),
          new Size(17, 33, 361, 1, 3),
          new Size(65, 40, 1031, 0, 2),
          new Size(127, 72, 1031, 1, 0),
          new Size(300, 20, 2100, 0, 4));

  private static final double PEAK = 3;

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (Size s : SIZES) {
      String inputs = s.toString();
      cases.add(
          new ParityCase("partialEmbeddingForward", inputs, dtype, p -> embeddingForward(p, s)));
      cases.add(
          new ParityCase("partialEmbeddingBackward", inputs, dtype, p -> embeddingBackward(p, s)));
      cases.add(new ParityCase("partialCrossEntropyForward", inputs, dtype, p -> forward(p, s)));
      cases.add(new ParityCase("partialCrossEntropyBackward", inputs, dtype, p -> backward(p, s)));
      for (boolean dft : new boolean[] {false, true}) {
        cases.add(
            new ParityCase(
                "partialCrossEntropyForwardBackward",
                inputs + (dft ? " DFT" : ""),
                dtype,
                p -> atOnce(p, s, dft)));
      }
    }
    return cases;
  }

  private static VocabularyPart part(Size s) {
    return new VocabularyPart(s.vocab, new AccountingCommunicator(s.rank, 2));
  }

  private static Pair ids(Parity p, Size s) {
    int[] ids = p.random().ints(s.tokens, 0, s.vocab).toArray();
    ids[0] = s.vocab - 1;
    ids[s.tokens - 1] = 0;
    return p.integers(ids);
  }

  private static void embeddingForward(Parity p, Size s) {
    Pair ids = ids(p, s);
    VocabularyPart part = part(s);
    Pair table = p.normalInput(1, part.rows(), s.hidden);
    Pair y = p.output(s.tokens, s.hidden);
    p.tested().backend().partialEmbeddingForward(ids.tested(), table.tested(), part, y.tested());
    p.reference()
        .backend()
        .partialEmbeddingForward(ids.reference(), table.reference(), part, y.reference());
    p.compare("y", y, EXACT);
  }

  private static void embeddingBackward(Parity p, Size s) {
    Pair ids = ids(p, s);
    VocabularyPart part = part(s);
    Pair dy = p.normalInput(1, s.tokens, s.hidden);
    Pair dTable = p.accumulated(1, part.rows(), s.hidden);
    p.tested()
        .backend()
        .partialEmbeddingBackward(
            p.tested().scope(), ids.tested(), dy.tested(), part, dTable.tested());
    p.reference()
        .backend()
        .partialEmbeddingBackward(
            p.reference().scope(), ids.reference(), dy.reference(), part, dTable.reference());
    p.compare("dTable", dTable, sum(p.sums()), cancellation(Math.sqrt(s.tokens)));
  }

  /** A head of which both sides hold the part of one rank, and each a group with the other. */
  private static final class Head {
    final Pair x;
    final Pair weight;
    final Pair labels;
    final int[] targets;
    final VocabularyPart tested;
    final VocabularyPart reference;
    final double[] exactLosses;

    Head(Parity p, Size s) {
      x = p.normalInput(1, s.tokens, s.hidden);
      double[] whole =
          Rounding.round(
              p.compute(), p.normal(PEAK / 3.5 / Math.sqrt(s.hidden), (long) s.vocab * s.hidden));
      VocabularyPart part = part(s);
      int start = part.firstRow() * s.hidden;
      weight =
          p.input(
              Arrays.copyOfRange(whole, start, start + part.rows() * s.hidden),
              part.rows(),
              s.hidden);
      targets = p.random().ints(s.tokens, 0, s.vocab).toArray();
      targets[0] = s.vocab - 1;
      for (int t = 0; t < s.tokens; t++) {
        if (s.every > 0 && t % s.every == s.every - 1) {
          targets[t] = t % 2 == 0 ? -100 : -1;
        }
      }
      labels = p.integers(targets);
      double[] xs = x.initial();
      tested =
          new VocabularyPart(
              s.vocab, new OtherRanks(p.tested(), s.rank, xs, whole, targets, s.hidden).group());
      reference =
          new VocabularyPart(
              s.vocab, new OtherRanks(p.reference(), s.rank, xs, whole, targets, s.hidden).group());
      Tensor losses = p.reference().empty(DType.F64, s.tokens);
      p.reference()
          .backend()
          .linearCrossEntropyForward(
              p.reference().scope(),
              x.reference(),
              p.reference().tensor(DType.F64, whole, s.vocab, s.hidden),
              labels.reference(),
              losses,
              p.reference().empty(DType.F64, s.tokens));
      exactLosses = p.reference().read(losses);
    }
  }

  private static void forward(Parity p, Size s) {
    Head head = new Head(p, s);
    Pair losses = p.output(p.sums(), s.tokens);
    Pair logSumExp = p.output(p.sums(), s.tokens);
    p.tested()
        .backend()
        .partialCrossEntropyForward(
            p.tested().scope(),
            head.x.tested(),
            head.weight.tested(),
            head.tested,
            head.labels.tested(),
            losses.tested(),
            logSumExp.tested());
    p.reference()
        .backend()
        .partialCrossEntropyForward(
            p.reference().scope(),
            head.x.reference(),
            head.weight.reference(),
            head.reference,
            head.labels.reference(),
            losses.reference(),
            logSumExp.reference());
    compareLosses(p, head, losses);
    double[] actual = p.tested().read(logSumExp.tested());
    double[] expected = p.reference().read(logSumExp.reference());
    for (int t = 0; t < s.tokens; t++) {
      if (head.targets[t] >= 0) {
        assertThat(Math.abs(actual[t] - expected[t]))
            .as("logSumExp of token %s: %s, the reference has %s", t, actual[t], expected[t])
            .isLessThanOrEqualTo(1e-5 * Math.abs(expected[t]) + 2 * cancellation(PEAK));
      }
    }
  }

  private static void backward(Parity p, Size s) {
    Head head = new Head(p, s);
    Tensor exactLog = p.reference().empty(DType.F64, s.tokens);
    p.reference()
        .backend()
        .partialCrossEntropyForward(
            p.reference().scope(),
            head.x.reference(),
            head.weight.reference(),
            head.reference,
            head.labels.reference(),
            p.reference().empty(DType.F64, s.tokens),
            exactLog);
    Pair logSumExp = p.shared(p.sums(), exactLog);
    Pair dLosses = p.input(p.sums(), p.normal(1, s.tokens), s.tokens);
    Pair dx = p.output(s.tokens, s.hidden);
    Pair dWeight = p.accumulated(0.01, head.tested.rows(), s.hidden);
    p.tested()
        .backend()
        .partialCrossEntropyBackward(
            p.tested().scope(),
            head.x.tested(),
            head.weight.tested(),
            head.tested,
            head.labels.tested(),
            logSumExp.tested(),
            dLosses.tested(),
            dx.tested(),
            dWeight.tested());
    p.reference()
        .backend()
        .partialCrossEntropyBackward(
            p.reference().scope(),
            head.x.reference(),
            head.weight.reference(),
            head.reference,
            head.labels.reference(),
            logSumExp.reference(),
            dLosses.reference(),
            dx.reference(),
            dWeight.reference());
    compareGradients(p, head, dLosses, dx, dWeight, 1);
  }

  private static void atOnce(Parity p, Size s, boolean dft) {
    Head head = new Head(p, s);
    Pair dLosses = p.input(p.sums(), p.normal(1, s.tokens), s.tokens);
    Pair losses = p.output(p.sums(), s.tokens);
    Pair dx = p.output(s.tokens, s.hidden);
    Pair dWeight = p.accumulated(0.01, head.tested.rows(), s.hidden);
    p.tested()
        .backend()
        .partialCrossEntropyForwardBackward(
            p.tested().scope(),
            head.x.tested(),
            head.weight.tested(),
            head.tested,
            head.labels.tested(),
            dLosses.tested(),
            dft,
            losses.tested(),
            dx.tested(),
            dWeight.tested());
    p.reference()
        .backend()
        .partialCrossEntropyForwardBackward(
            p.reference().scope(),
            head.x.reference(),
            head.weight.reference(),
            head.reference,
            head.labels.reference(),
            dLosses.reference(),
            dft,
            losses.reference(),
            dx.reference(),
            dWeight.reference());
    compareLosses(p, head, losses);
    compareGradients(p, head, dLosses, dx, dWeight, dft ? 2 : 1);
  }

  /** The other side, and the loss that a rank with the whole vocabulary has. */
  private static void compareLosses(Parity p, Head head, Pair losses) {
    p.compare("losses", losses, pointwise(p.sums()), 2 * cancellation(PEAK));
    double[] reference = p.reference().read(losses.reference());
    for (int t = 0; t < head.targets.length; t++) {
      assertThat(reference[t])
          .as("loss of token %s", t)
          .isCloseTo(head.exactLosses[t], Offset.offset(1e-12));
    }
  }

  private static void compareGradients(
      Parity p, Head head, Pair dLosses, Pair dx, Pair dWeight, int roundings) {
    double probability = 2 * roundings * cancellation(PEAK) * Parity.largest(dLosses.initial());
    p.compare(
        "dx",
        dx,
        insideRounded(p.compute(), p.compute()),
        probability * Parity.largest(head.weight.initial()));
    p.compare(
        "dWeight",
        dWeight,
        insideRounded(p.compute(), p.sums()),
        probability * Parity.largest(head.x.initial()));
  }
}
