package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.TileRows.FLOATS;
import static io.panatron.kernels.cpu.TileRows.LANES;
import static io.panatron.kernels.cpu.TileRows.get;
import static io.panatron.kernels.cpu.TileRows.load;
import static io.panatron.kernels.cpu.TileRows.set;
import static io.panatron.kernels.cpu.TileRows.store;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The pieces of a softmax over F32 rows. Where scores come multiplied by {@link #LOG2_E}, powers of
 * two take the place of exponentials, which saves a multiplication for each.
 */
final class SoftmaxRows {
  static final float LOG2_E = 1.44269504f;
  static final double LN_2 = Math.log(2);

  /** The least exponent whose power is a normal number; below it a power counts as this one. */
  private static final float LEAST_EXPONENT = -126;

  /** Adding it leaves the nearest integer in the low bits: 1.5 * 2^23. */
  private static final float ROUNDING = 12582912f;

  // 2^r on [-1/2, 1/2], interpolated at the Chebyshev nodes: relative error below 3e-9 before
  // rounding.
  private static final float C1 = 0.6931472067028323f;
  private static final float C2 = 0.2402265092228826f;
  private static final float C3 = 0.055503272266708814f;
  private static final float C4 = 0.009618056678584931f;
  private static final float C5 = 0.001340042817725558f;
  private static final float C6 = 0.00015461444676459477f;

  private SoftmaxRows() {}

  /** {@code 2^x} of one element. */
  static float exp2(float x) {
    return (float) Math.exp(x * LN_2);
  }

  /**
   * The greatest of at least one element; NaN elements are passed over, the exponentials meet them.
   */
  static float max(MemorySegment x, long start, int count) {
    FloatVector first = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
    FloatVector second = first;
    int i = 0;
    for (; i <= count - 2 * LANES; i += 2 * LANES) {
      FloatVector a = load(x, start + i);
      FloatVector b = load(x, start + i + LANES);
      first = first.blend(a, first.lt(a));
      second = second.blend(b, second.lt(b));
    }
    for (; i <= count - LANES; i += LANES) {
      FloatVector a = load(x, start + i);
      first = first.blend(a, first.lt(a));
    }
    float max = first.blend(second, first.lt(second)).reduceLanes(VectorOperators.MAX);
    for (; i < count; i++) {
      float value = get(x, start + i);
      max = max < value ? value : max;
    }
    return max;
  }

  /**
   * {@code x = 2^(factor (x - shift))}; returns the sum. Exponents are at most 127; NaN stays NaN.
   * The polynomial stands here, not in a method of its own, for the reason that {@link TileRows}
   * gives.
   */
  static float powers(MemorySegment x, long start, int count, float factor, float shift) {
    FloatVector sums = FloatVector.zero(FLOATS);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector exponent = load(x, start + i).sub(shift).mul(factor);
      exponent = exponent.blend(LEAST_EXPONENT, exponent.lt(LEAST_EXPONENT));
      FloatVector rounded = exponent.add(ROUNDING);
      FloatVector r = exponent.sub(rounded.sub(ROUNDING));
      FloatVector fraction =
          r.fma(FloatVector.broadcast(FLOATS, C6), FloatVector.broadcast(FLOATS, C5))
              .fma(r, FloatVector.broadcast(FLOATS, C4))
              .fma(r, FloatVector.broadcast(FLOATS, C3))
              .fma(r, FloatVector.broadcast(FLOATS, C2))
              .fma(r, FloatVector.broadcast(FLOATS, C1))
              .fma(r, FloatVector.broadcast(FLOATS, 1f));
      IntVector power = rounded.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
      FloatVector result = fraction.reinterpretAsInts().add(power).reinterpretAsFloats();
      store(result, x, start + i);
      // Not sums.add(result): called on what a loop carries, whose class the compiler does not know
      // until it has compiled the loop, an operation keeps a vector on the heap for each turn.
      sums = result.add(sums);
    }
    float sum = VectorMath.sum(sums);
    for (; i < count; i++) {
      float power = exp2((get(x, start + i) - shift) * factor);
      set(x, start + i, power);
      sum += power;
    }
    return sum;
  }

  /**
   * The backward of a softmax row: {@code scores} becomes {@code p = 2^(scores - logSumExp)} and
   * {@code gradients}, which hold {@code dp}, become {@code p (dp - delta)}.
   */
  static void gradients(
      MemorySegment memory, long scores, long gradients, int count, float logSumExp, float delta) {
    float _ = powers(memory, scores, count, 1, logSumExp);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector probability = load(memory, scores + i);
      FloatVector gradient = load(memory, gradients + i).sub(delta).mul(probability);
      store(gradient, memory, gradients + i);
    }
    for (; i < count; i++) {
      float gradient = get(memory, gradients + i) - delta;
      set(memory, gradients + i, gradient * get(memory, scores + i));
    }
  }

  /**
   * As {@link #gradients}, with dropout: {@code p} becomes {@code p m} and {@code dp} is {@code dp
   * m}.
   */
  static void droppedGradients(
      MemorySegment memory,
      long scores,
      long gradients,
      int count,
      float logSumExp,
      float delta,
      float[] factors,
      int offset) {
    float _ = powers(memory, scores, count, 1, logSumExp);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector probability = load(memory, scores + i);
      FloatVector factor = FloatVector.fromArray(FLOATS, factors, offset + i);
      FloatVector gradient = load(memory, gradients + i).mul(factor).sub(delta).mul(probability);
      store(gradient, memory, gradients + i);
      store(probability.mul(factor), memory, scores + i);
    }
    for (; i < count; i++) {
      float probability = get(memory, scores + i);
      float factor = factors[offset + i];
      set(memory, gradients + i, (get(memory, gradients + i) * factor - delta) * probability);
      set(memory, scores + i, probability * factor);
    }
  }

  /** {@code x *= factors} on a row. */
  static void multiply(MemorySegment x, long start, int count, float[] factors, int offset) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      store(
          load(x, start + i).mul(FloatVector.fromArray(FLOATS, factors, offset + i)), x, start + i);
    }
    for (; i < count; i++) {
      set(x, start + i, get(x, start + i) * factors[offset + i]);
    }
  }
}
