package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.tests.parity.BackendUnderTest;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import java.util.random.RandomGenerator;
import org.assertj.core.data.Offset;

/**
 * Tensors of one gradient test in F64, and the comparison of a gradient with central differences.
 *
 * <p>The loss is {@code sum g_i y_i} with random {@code g}, so that every element of every output
 * weighs differently.
 */
final class GradientCheck implements AutoCloseable {
  /** Truncation leaves about STEP^2 = 1e-10 of a third derivative, rounding about 1e-16 / STEP. */
  private static final double STEP = 1e-5;

  /**
   * Third derivatives of these operations stay below 1,000 times their first on inputs of size 1.
   */
  private static final double TOLERANCE = 1e-7;

  private final BackendUnderTest side = new BackendUnderTest(Backends.reference());
  private final RandomGenerator random;

  GradientCheck(long seed) {
    random = new SplittableRandom(seed);
  }

  Backend backend() {
    return side.backend();
  }

  BackendUnderTest side() {
    return side;
  }

  MemoryScope scratch() {
    return side.scope();
  }

  private double[] numbers(long count) {
    double[] values = new double[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextGaussian();
    }
    return values;
  }

  /** Random numbers of size 1: an input, an upstream gradient, or a gradient to accumulate into. */
  Tensor normal(long... extents) {
    long count = 1;
    for (long extent : extents) {
      count *= extent;
    }
    return side.tensor(DType.F64, numbers(count), extents);
  }

  Tensor tensor(double[] values, long... extents) {
    return side.tensor(DType.F64, values, extents);
  }

  Tensor integers(int... values) {
    return side.integers(values);
  }

  /** A tensor full of NaN: what an operation must overwrite. */
  Tensor empty(long... extents) {
    return side.empty(DType.F64, extents);
  }

  double[] read(Tensor tensor) {
    return side.read(tensor);
  }

  /** What an accumulating operation added since {@code before} was read. */
  double[] added(Tensor gradient, double[] before) {
    double[] change = read(gradient);
    for (int i = 0; i < change.length; i++) {
      change[i] -= before[i];
    }
    return change;
  }

  /** {@code sum g_i y_i} in double. */
  double weigh(Tensor g, Tensor y) {
    double[] gs = read(g);
    double[] ys = read(y);
    double sum = 0;
    for (int i = 0; i < gs.length; i++) {
      sum += gs[i] * ys[i];
    }
    return sum;
  }

  /**
   * Moves each element of {@code input} up and down and compares the slope of {@code loss} with
   * {@code gradient}.
   */
  void verify(String name, Tensor input, double[] gradient, DoubleSupplier loss) {
    double[] original = read(input);
    double largest = 0;
    List<Double> slopes = new ArrayList<>();
    for (int i = 0; i < original.length; i++) {
      double[] moved = original.clone();
      moved[i] = original[i] + STEP;
      side.write(input, moved);
      double above = loss.getAsDouble();
      moved[i] = original[i] - STEP;
      side.write(input, moved);
      double below = loss.getAsDouble();
      slopes.add((above - below) / (2 * STEP));
      largest = Math.max(largest, Math.abs(slopes.getLast()));
    }
    side.write(input, original);
    assertThat(largest).as("largest slope in %s; a test of zeros tests nothing", name).isPositive();
    for (int i = 0; i < original.length; i++) {
      assertThat(gradient[i])
          .as("gradient of %s, element %s", name, i)
          .isCloseTo(slopes.get(i), Offset.offset(TOLERANCE * Math.max(1, largest)));
    }
  }

  @Override
  public void close() {
    side.close();
  }
}
