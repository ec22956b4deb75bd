package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorAccess.load;
import static io.panatron.kernels.cpu.VectorAccess.store;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * The loops over the elements of one head: rotation, norm and their gradients.
 *
 * <p>{@code half} is half the number of rotated elements; those past {@code 2 half} pass through.
 */
final class HeadRows {
  private HeadRows() {}

  /** {@code to = turn(from rstd weight)}; without a weight, {@code to = turn(from)}. */
  static void turn(
      boolean bf16,
      MemorySegment from,
      long fromBase,
      float rstd,
      @Nullable MemorySegment weight,
      MemorySegment cosine,
      MemorySegment sine,
      long angles,
      int half,
      MemorySegment to,
      long toBase,
      int dim) {
    long halfBytes = (bf16 ? 2L : 4L) * half;
    for (int i = 0; i < half; i += LANES) {
      FloatVector a = load(bf16, from, fromBase, i, half);
      FloatVector b = load(bf16, from, fromBase + halfBytes, i, half);
      if (weight != null) {
        a = a.mul(rstd).mul(load(bf16, weight, 0, i, half));
        b = b.mul(rstd).mul(load(bf16, weight, halfBytes, i, half));
      }
      FloatVector cos = load(false, cosine, angles, i, half);
      FloatVector sin = load(false, sine, angles, i, half);
      store(bf16, a.mul(cos).sub(b.mul(sin)), to, toBase, i, half);
      store(bf16, b.mul(cos).add(a.mul(sin)), to, toBase + halfBytes, i, half);
    }
    int rest = dim - 2 * half;
    for (int i = 0; i < rest; i += LANES) {
      FloatVector x = load(bf16, from, fromBase + 2 * halfBytes, i, rest);
      if (weight != null) {
        x = x.mul(rstd).mul(load(bf16, weight, 2 * halfBytes, i, rest));
      }
      store(bf16, x, to, toBase + 2 * halfBytes, i, rest);
    }
  }

  /** The transpose of the rotation, which is its inverse; {@code to} may have another dtype. */
  static void turnBack(
      boolean bf16,
      MemorySegment from,
      long fromBase,
      MemorySegment cosine,
      MemorySegment sine,
      long angles,
      int half,
      boolean toBf16,
      MemorySegment to,
      long toBase,
      int dim) {
    long halfBytes = (bf16 ? 2L : 4L) * half;
    long toHalfBytes = (toBf16 ? 2L : 4L) * half;
    for (int i = 0; i < half; i += LANES) {
      FloatVector a = load(bf16, from, fromBase, i, half);
      FloatVector b = load(bf16, from, fromBase + halfBytes, i, half);
      FloatVector cos = load(false, cosine, angles, i, half);
      FloatVector sin = load(false, sine, angles, i, half);
      store(toBf16, a.mul(cos).add(b.mul(sin)), to, toBase, i, half);
      store(toBf16, b.mul(cos).sub(a.mul(sin)), to, toBase + toHalfBytes, i, half);
    }
    int rest = dim - 2 * half;
    for (int i = 0; i < rest; i += LANES) {
      FloatVector x = load(bf16, from, fromBase + 2 * halfBytes, i, rest);
      store(toBf16, x, to, toBase + 2 * toHalfBytes, i, rest);
    }
  }

  /**
   * Adds {@code dy x rstd} to the sums and returns the sum of {@code dy weight x rstd}.
   *
   * @param own {@code dy} in its first {@code dim} elements, F32, and the sums at {@code sumBase}
   */
  static float weightGradient(
      boolean bf16,
      MemorySegment x,
      long base,
      float rstd,
      MemorySegment weight,
      MemorySegment own,
      long sumBase,
      int dim) {
    FloatVector product = FloatVector.zero(FLOATS);
    for (int i = 0; i < dim; i += LANES) {
      FloatVector gradient =
          load(bf16, x, base, i, dim).mul(rstd).mul(load(false, own, 0, i, dim));
      store(false, load(false, own, sumBase, i, dim).add(gradient), own, sumBase, i, dim);
      product = gradient.fma(load(bf16, weight, 0, i, dim), product);
    }
    return VectorMath.sum(product);
  }

  /** {@code dx = rstd (dy weight - x rstd meanProduct)}; arguments as above. */
  static void inputGradient(
      boolean bf16,
      MemorySegment x,
      long base,
      float rstd,
      float meanProduct,
      MemorySegment weight,
      MemorySegment own,
      MemorySegment dx,
      long dxBase,
      int dim) {
    FloatVector slope = FloatVector.broadcast(FLOATS, -rstd * meanProduct);
    for (int i = 0; i < dim; i += LANES) {
      FloatVector g = load(false, own, 0, i, dim).mul(load(bf16, weight, 0, i, dim));
      store(bf16, load(bf16, x, base, i, dim).fma(slope, g).mul(rstd), dx, dxBase, i, dim);
    }
  }
}
