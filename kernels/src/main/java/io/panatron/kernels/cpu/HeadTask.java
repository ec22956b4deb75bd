package io.panatron.kernels.cpu;

import io.panatron.kernels.Backend.HeadNorm;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** What one call of {@link CpuSplitHeads} does to each token. */
final class HeadTask {
  private final boolean bf16;
  private final int queryHeads;
  private final int keyHeads;
  private final int dim;
  private final int half;
  private final long headBytes;
  private final MemorySegment positions;
  private final MemorySegment cosine;
  private final MemorySegment sine;
  private final @Nullable MemorySegment queryWeight;
  private final @Nullable MemorySegment keyWeight;
  private final @Nullable MemorySegment rstd;
  private final double epsilon;

  HeadTask(
      boolean bf16,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      @Nullable Tensor rstd) {
    this.bf16 = bf16;
    this.queryHeads = geometry.queryHeads();
    this.keyHeads = geometry.keyValueHeads();
    this.dim = geometry.headDim();
    this.half = rotary.rotaryDim() / 2;
    this.headBytes = (bf16 ? 2L : 4L) * dim;
    this.positions = HostMemory.of(positions);
    this.cosine = HostMemory.of(rotary.cosine());
    this.sine = HostMemory.of(rotary.sine());
    this.queryWeight = norm == null ? null : HostMemory.of(norm.queryWeight());
    this.keyWeight = norm == null ? null : HostMemory.of(norm.keyWeight());
    this.rstd = rstd == null ? null : HostMemory.of(rstd);
    this.epsilon = norm == null ? 0 : norm.epsilon();
  }

  void forwardToken(
      long token, MemorySegment fused, MemorySegment q, MemorySegment k, MemorySegment v) {
    long angles = angles(token);
    int heads = queryHeads + keyHeads;
    long from = token * (heads + keyHeads) * headBytes;
    for (int h = 0; h < heads; h++) {
      boolean query = h < queryHeads;
      MemorySegment to = query ? q : k;
      long toBase = headBase(token, h);
      long fromBase = from + h * headBytes;
      @Nullable MemorySegment weight = query ? queryWeight : keyWeight;
      float r = 1;
      if (weight != null && rstd != null) {
        r = CpuRmsNorm.reciprocalRoot(
            CpuRmsNorm.sumOfSquares(bf16, fused, fromBase, dim), dim, epsilon);
        rstd.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * (token * heads + h), r);
      }
      HeadRows.turn(
          bf16, fused, fromBase, r, weight, cosine, sine, angles, half, to, toBase, dim);
    }
    MemorySegment.copy(
        fused, from + heads * headBytes, v, token * keyHeads * headBytes, keyHeads * headBytes);
  }

  /**
   * Overwrites the token's row of {@code dFused}.
   *
   * @param own this piece's [3, headDim] F32: space for one head; query weight sums; key weight sums
   */
  void backwardToken(
      long token,
      @Nullable MemorySegment fused,
      MemorySegment dq,
      MemorySegment dk,
      MemorySegment dv,
      MemorySegment dFused,
      MemorySegment own) {
    long angles = angles(token);
    int heads = queryHeads + keyHeads;
    long to = token * (heads + keyHeads) * headBytes;
    for (int h = 0; h < heads; h++) {
      boolean query = h < queryHeads;
      MemorySegment from = query ? dq : dk;
      long fromBase = headBase(token, h);
      long toBase = to + h * headBytes;
      @Nullable MemorySegment weight = query ? queryWeight : keyWeight;
      if (weight != null && fused != null && rstd != null) {
        float r = rstd.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * (token * heads + h));
        HeadRows.turnBack(
            bf16, from, fromBase, cosine, sine, angles, half, false, own, 0, dim);
        long sumBase = 4L * dim * (query ? 1 : 2);
        float product =
            HeadRows.weightGradient(bf16, fused, toBase, r, weight, own, sumBase, dim);
        HeadRows.inputGradient(
            bf16, fused, toBase, r, product / dim, weight, own, dFused, toBase, dim);
      } else {
        HeadRows.turnBack(
            bf16, from, fromBase, cosine, sine, angles, half, bf16, dFused, toBase, dim);
      }
    }
    MemorySegment.copy(
        dv, token * keyHeads * headBytes, dFused, to + heads * headBytes, keyHeads * headBytes);
  }

  /** Where the token's angles start in the table, in bytes. */
  private long angles(long token) {
    return 4L * half * positions.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * token);
  }

  /** Where head {@code h}, queries before keys, starts in its own tensor, in bytes. */
  private long headBase(long token, int h) {
    return h < queryHeads
        ? (token * queryHeads + h) * headBytes
        : (token * keyHeads + h - queryHeads) * headBytes;
  }
}
