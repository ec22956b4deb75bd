package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.DOUBLE_SUM;
import static io.panatron.tests.parity.Tolerances.few;
import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;

/** Fill, add, scale and the sum of squares. */
final class ElementwiseParity {
  private static final int[] COUNTS = {1, 2, 3, 15, 17, 31, 33, 127, 1031, 70_001};

  private ElementwiseParity() {}

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (int count : COUNTS) {
      for (double value : new double[] {0, -2.5, 0.1, 1e-30}) {
        cases.add(
            new ParityCase("fill", count + " of " + value, dtype, p -> fill(p, count, value)));
      }
      for (DType into : additionTargets(dtype)) {
        cases.add(new ParityCase("add", count + " into " + into, dtype, p -> add(p, count, into)));
      }
      for (double factor : new double[] {0, 1, -0.37, 3e4}) {
        cases.add(
            new ParityCase("scale", count + " by " + factor, dtype, p -> scale(p, count, factor)));
      }
      cases.add(new ParityCase("sumOfSquares", count + "", dtype, p -> sumOfSquares(p, count, 1)));
      double large = dtype == DType.F16 ? 1e4 : 1e18;
      cases.add(
          new ParityCase(
              "sumOfSquares", count + " of " + large, dtype, p -> sumOfSquares(p, count, large)));
      cases.add(
          new ParityCase("sumOfSquares", count + ", one bad", dtype, p -> nonFinite(p, count)));
    }
    return cases;
  }

  private static List<DType> additionTargets(DType dtype) {
    return switch (dtype) {
      case F32 -> List.of(DType.F32, DType.BF16);
      case BF16, F16 -> List.of(dtype, DType.F32);
      case F64, F8_E4M3, I16, I32 -> List.of(dtype);
    };
  }

  private static void fill(Parity p, int count, double value) {
    Pair x = p.output(count);
    p.tested().backend().fill(x.tested(), value);
    assertThat(p.tested().read(x.tested())).containsOnly(Rounding.round(p.compute(), value));
  }

  private static void add(Parity p, int count, DType intoDType) {
    Pair x = p.normalInput(1, count);
    Pair into = p.updated(intoDType, p.normal(1, count), count);
    p.tested().backend().add(x.tested(), into.tested());
    p.reference().backend().add(x.reference(), into.reference());
    p.compare("into", into, few(intoDType));
  }

  private static void scale(Parity p, int count, double factor) {
    Pair x = p.updated(p.compute(), p.normal(1, count), count);
    p.tested().backend().scale(x.tested(), factor);
    p.reference().backend().scale(x.reference(), factor);
    p.compare("x", x, few(p.compute()));
  }

  private static void sumOfSquares(Parity p, int count, double size) {
    Pair x = p.normalInput(size, count);
    double expected = p.reference().backend().sumOfSquares(x.reference());
    double actual = p.tested().backend().sumOfSquares(x.tested());
    assertThat(actual)
        .as("sum of squares; squares of F32 numbers exceed F32")
        .isCloseTo(expected, Offset.offset(DOUBLE_SUM.element() * expected));
  }

  private static void nonFinite(Parity p, int count) {
    for (double bad :
        new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
      for (int at : new int[] {0, count / 2, count - 1}) {
        double[] values = p.normal(1, count);
        values[at] = bad;
        double sum =
            p.tested().backend().sumOfSquares(p.tested().tensor(p.compute(), values, count));
        assertThat(Double.isFinite(sum)).as("finite with %s at %s", bad, at).isFalse();
      }
    }
  }
}
