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

  /** {@code 2^x} for {@code x <= 127}; NaN stays NaN. */
  static FloatVector exp2(FloatVector x) {
    FloatVector bounded = x.blend(LEAST_EXPONENT, x.lt(LEAST_EXPONENT));
    FloatVector shifted = bounded.add(ROUNDING);
    FloatVector r = bounded.sub(shifted.sub(ROUNDING));
    FloatVector power =
        r.mul(C6).add(C5).lanewise(VectorOperators.FMA, r, FloatVector.broadcast(FLOATS, C4));
    power = power.lanewise(VectorOperators.FMA, r, FloatVector.broadcast(FLOATS, C3));
    power = power.lanewise(VectorOperators.FMA, r, FloatVector.broadcast(FLOATS, C2));
    power = power.lanewise(VectorOperators.FMA, r, FloatVector.broadcast(FLOATS, C1));
    power = power.lanewise(VectorOperators.FMA, r, FloatVector.broadcast(FLOATS, 1f));
    IntVector exponent = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    return power.reinterpretAsInts().add(exponent).reinterpretAsFloats();
  }

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

  /** {@code x = 2^(x - shift)}; returns the sum. */
  static float powersOfTwo(MemorySegment x, long start, int count, float shift) {
    FloatVector sums = FloatVector.zero(FLOATS);
    FloatVector shifts = FloatVector.broadcast(FLOATS, shift);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector power = exp2(load(x, start + i).sub(shifts));
      store(power, x, start + i);
      sums = sums.add(power);
    }
    float sum = VectorMath.sum(sums);
    for (; i < count; i++) {
      float power = exp2(get(x, start + i) - shift);
      set(x, start + i, power);
      sum += power;
    }
    return sum;
  }

  /** {@code x = e^(x - shift)}; returns the sum. */
  static float exponentials(MemorySegment x, long start, int count, float shift) {
    FloatVector sums = FloatVector.zero(FLOATS);
    FloatVector shifts = FloatVector.broadcast(FLOATS, shift);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector power = exp2(load(x, start + i).sub(shifts).mul(LOG2_E));
      store(power, x, start + i);
      sums = sums.add(power);
    }
    float sum = VectorMath.sum(sums);
    for (; i < count; i++) {
      float power = (float) Math.exp(get(x, start + i) - shift);
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
    FloatVector deltas = FloatVector.broadcast(FLOATS, delta);
    FloatVector shifts = FloatVector.broadcast(FLOATS, logSumExp);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector power = exp2(load(memory, scores + i).sub(shifts));
      store(power, memory, scores + i);
      store(load(memory, gradients + i).sub(deltas).mul(power), memory, gradients + i);
    }
    for (; i < count; i++) {
      float power = exp2(get(memory, scores + i) - logSumExp);
      set(memory, scores + i, power);
      set(memory, gradients + i, (get(memory, gradients + i) - delta) * power);
    }
  }
}
