package io.panatron.tests.parity;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.tests.parity.Tolerances.Tolerance;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/**
 * One comparison: the tested backend in {@code dtype} and the reference backend in F64, side by
 * side on the same numbers.
 */
final class Parity implements AutoCloseable {
  /** The same tensor on both sides. */
  record Pair(Tensor tested, Tensor reference, double[] initial) {}

  private final DType dtype;
  private final BackendUnderTest tested;
  private final BackendUnderTest reference;
  private final RandomGenerator random;
  private final List<Pair> inputs = new ArrayList<>();

  Parity(Backend tested, DType dtype, long seed) {
    this.dtype = dtype;
    this.tested = new BackendUnderTest(tested);
    this.reference = new BackendUnderTest(Backends.reference());
    this.random = new SplittableRandom(seed);
  }

  /** The compute dtype of the tested side. */
  DType compute() {
    return dtype;
  }

  /** Its accumulator. */
  DType sums() {
    return dtype.accumulator();
  }

  BackendUnderTest tested() {
    return tested;
  }

  BackendUnderTest reference() {
    return reference;
  }

  RandomGenerator random() {
    return random;
  }

  /** Normal numbers of this standard deviation. */
  double[] normal(double deviation, long count) {
    double[] values = new double[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = deviation * random.nextGaussian();
    }
    return values;
  }

  /** An input in the compute dtype; the operation must leave it alone. */
  Pair input(double[] values, long... extents) {
    return input(dtype, values, extents);
  }

  /** An input in another dtype; the operation must leave it alone. */
  Pair input(DType stored, double[] values, long... extents) {
    Pair pair = updated(stored, values, extents);
    inputs.add(pair);
    return pair;
  }

  /** Random numbers around 0 in the compute dtype. */
  Pair normalInput(double deviation, long... extents) {
    return input(normal(deviation, product(extents)), extents);
  }

  Pair integers(int... values) {
    return new Pair(tested.integers(values), reference.integers(values), new double[0]);
  }

  /** A tensor that the operation reads and writes. */
  Pair updated(DType stored, double[] values, long... extents) {
    double[] rounded = Rounding.round(stored, values);
    return new Pair(
        tested.tensor(stored, rounded, extents),
        reference.tensor(DType.F64, rounded, extents),
        rounded);
  }

  /** A parameter gradient that already holds something. */
  Pair accumulated(double deviation, long... extents) {
    return updated(sums(), normal(deviation, product(extents)), extents);
  }

  /** A tensor full of NaN that the operation overwrites. */
  Pair output(DType stored, long... extents) {
    return new Pair(
        tested.empty(stored, extents),
        reference.empty(DType.F64, extents),
        new double[Math.toIntExact(product(extents))]);
  }

  Pair output(long... extents) {
    return output(dtype, extents);
  }

  /**
   * A result of the reference alone, handed to both sides as an input of what is to be compared:
   * both then start from the same rounded statistics.
   */
  Pair shared(DType stored, Tensor computed) {
    return input(stored, reference.read(computed), computed.shape().toArray());
  }

  void compare(String name, Pair pair, Tolerance tolerance) {
    compare(name, pair, tolerance, 0);
  }

  /**
   * Compares both sides.
   *
   * @param absolute allowed for each element besides the tolerance
   */
  void compare(String name, Pair pair, Tolerance tolerance, double absolute) {
    double[] actual = tested.read(pair.tested());
    double[] expected = reference.read(pair.reference());
    int columns = Math.max(1, pair.tested().shape().columns());
    double[] change = new double[expected.length];
    for (int i = 0; i < change.length; i++) {
      if (pair.tested().dtype() == DType.F16 && Double.isFinite(expected[i])) {
        // The reference is in F64; what F16 cannot hold is infinite there.
        double stored = Rounding.round(DType.F16, expected[i]);
        expected[i] = Double.isInfinite(stored) ? stored : expected[i];
      }
      change[i] = Double.isFinite(expected[i]) ? expected[i] - pair.initial()[i] : 0;
    }
    double whole = rootMeanSquare(change, 0, change.length);
    double scale = whole;
    double differenceSquares = 0;
    double allowedSquares = 0;
    for (int i = 0; i < actual.length; i++) {
      if (i % columns == 0 && columns >= 8) {
        // Narrow rows say little about their own scale.
        scale = rootMeanSquare(change, i, columns);
      }
      double stored =
          2 * 0x1p-24 * Math.abs(pair.initial()[i])
              + Tolerances.leastRounding(pair.tested().dtype());
      double allowed =
          tolerance.element() * Math.abs(expected[i]) + tolerance.row() * scale + absolute + stored;
      double difference = actual[i] - expected[i];
      if (!(Math.abs(difference) <= allowed) && Double.compare(actual[i], expected[i]) != 0) {
        throw new AssertionError(
            String.format(
                Locale.ROOT,
                "%s %s element %d (row %d, column %d): %.9g, the reference has %.9g;"
                    + " difference %.3g, allowed %.3g",
                name,
                pair.tested(),
                i,
                i / columns,
                i % columns,
                actual[i],
                expected[i],
                difference,
                allowed));
      }
      if (!Double.isNaN(difference)) {
        differenceSquares += difference * difference;
        allowedSquares += (absolute + stored) * (absolute + stored);
      }
    }
    double norm = whole * Math.sqrt(change.length);
    double before = rootMeanSquare(pair.initial(), 0, change.length) * Math.sqrt(change.length);
    assertThat(Math.sqrt(differenceSquares))
        .as("%s %s: norm of the difference; norm of the change %s", name, pair.tested(), norm)
        .isLessThanOrEqualTo(
            tolerance.norm() * norm + tolerance.element() * before + Math.sqrt(allowedSquares));
  }

  /** Verifies that inputs are as they were, and the red zones. */
  @Override
  public void close() {
    try (reference;
        tested) {
      for (Pair input : inputs) {
        assertThat(tested.read(input.tested()))
            .as("input %s after the operation", input.tested())
            .isEqualTo(input.initial());
      }
    }
  }

  static double largest(double[] values) {
    double largest = 0;
    for (double value : values) {
      largest = Math.max(largest, Math.abs(value));
    }
    return largest;
  }

  private static double rootMeanSquare(double[] values, int start, int count) {
    double sum = 0;
    for (int i = start; i < start + count; i++) {
      sum += values[i] * values[i];
    }
    return Math.sqrt(sum / Math.max(1, count));
  }

  private static long product(long[] extents) {
    long product = 1;
    for (long extent : extents) {
      product *= extent;
    }
    return product;
  }
}
