package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.padded;
import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.Backend.HeadNorm;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * What one call of {@link CpuSplitHeads} does to each token.
 *
 * <p>The heads of a token lie in a row at a stride that is a multiple of the vector length, so that
 * loops over a head end with a complete vector.
 */
final class HeadRows {
  /** Rows that each worker needs. */
  static final int ROWS = 6;

  // The uses of the rows.
  private static final int HEADS = 0;
  private static final int INPUTS = 1;
  private static final int COSINES = 2;
  private static final int SINES = 3;
  private static final int QUERY_SUMS = 4;
  private static final int KEY_SUMS = 5;

  private final RowBuffers buffers;
  private final DType dtype;
  private final int queryHeads;
  private final int keyHeads;
  private final int dim;
  private final int stride;
  private final int half;
  private final boolean interleaved;
  private final long headBytes;
  private final MemorySegment positions;
  private final MemorySegment cosine;
  private final MemorySegment sine;
  private final float[] queryWeight;
  private final float[] keyWeight;
  private final @Nullable MemorySegment rstd;
  private final double epsilon;

  HeadRows(
      RowBuffers buffers,
      RowBuffers shared,
      DType dtype,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      @Nullable Tensor rstd) {
    this.buffers = buffers;
    this.dtype = dtype;
    this.queryHeads = geometry.queryHeads();
    this.keyHeads = geometry.keyValueHeads();
    this.dim = geometry.headDim();
    this.stride = padded(dim);
    this.half = rotary.rotaryDim() / 2;
    this.interleaved = rotary.interleaved();
    this.headBytes = (long) dtype.bytes() * dim;
    this.positions = HostMemory.of(positions);
    this.cosine = HostMemory.of(rotary.cosine());
    this.sine = HostMemory.of(rotary.sine());
    this.rstd = rstd == null ? null : HostMemory.of(rstd);
    this.epsilon = norm == null ? 0 : norm.epsilon();
    buffers.reserve((queryHeads + keyHeads) * stride);
    shared.reserve(dim);
    this.queryWeight = shared.row(0, 0);
    this.keyWeight = shared.row(0, 1);
    if (norm != null) {
      read(dtype, HostMemory.of(norm.queryWeight()), 0, queryWeight, 0, dim);
      read(dtype, HostMemory.of(norm.keyWeight()), 0, keyWeight, 0, dim);
    }
  }

  void forward(
      int worker,
      long token,
      MemorySegment fused,
      MemorySegment q,
      MemorySegment k,
      MemorySegment v) {
    int count = queryHeads + keyHeads;
    float[] heads = buffers.row(worker, HEADS);
    long base = token * (count + keyHeads) * headBytes;
    readHeads(fused, base, heads, 0, count);
    if (rstd != null) {
      for (int h = 0; h < count; h++) {
        float r = NormRows.reciprocalRoot(heads, h * stride, dim, epsilon);
        rstd.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * (token * count + h), r);
        NormRows.scale(heads, h * stride, r, h < queryHeads ? queryWeight : keyWeight, dim);
      }
    }
    turn(worker, token, heads, 1);
    writeHeads(heads, 0, q, token * queryHeads * headBytes, queryHeads);
    writeHeads(heads, queryHeads, k, token * keyHeads * headBytes, keyHeads);
    MemorySegment.copy(
        fused, base + count * headBytes, v, token * keyHeads * headBytes, keyHeads * headBytes);
  }

  /**
   * Overwrites the token's row of {@code dFused}.
   *
   * @param fused the input of the forward pass, which only the norm needs
   */
  void backward(
      int worker,
      long token,
      @Nullable MemorySegment fused,
      MemorySegment dq,
      MemorySegment dk,
      MemorySegment dv,
      MemorySegment dFused) {
    int count = queryHeads + keyHeads;
    float[] heads = buffers.row(worker, HEADS);
    long base = token * (count + keyHeads) * headBytes;
    readHeads(dq, token * queryHeads * headBytes, heads, 0, queryHeads);
    readHeads(dk, token * keyHeads * headBytes, heads, queryHeads, keyHeads);
    turn(worker, token, heads, -1);
    if (rstd != null && fused != null) {
      float[] inputs = buffers.row(worker, INPUTS);
      float[] querySums = buffers.row(worker, QUERY_SUMS);
      float[] keySums = buffers.row(worker, KEY_SUMS);
      readHeads(fused, base, inputs, 0, count);
      for (int h = 0; h < count; h++) {
        boolean query = h < queryHeads;
        float r = rstd.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * (token * count + h));
        NormRows.gradient(
            inputs,
            h * stride,
            r,
            query ? queryWeight : keyWeight,
            heads,
            h * stride,
            query ? querySums : keySums,
            dim);
      }
    }
    writeHeads(heads, 0, dFused, base, count);
    MemorySegment.copy(
        dv, token * keyHeads * headBytes, dFused, base + count * headBytes, keyHeads * headBytes);
  }

  /** Starts the sums of the weights' gradients. */
  void clearSums(int worker) {
    Arrays.fill(buffers.row(worker, QUERY_SUMS), 0, stride, 0f);
    Arrays.fill(buffers.row(worker, KEY_SUMS), 0, stride, 0f);
  }

  /** Writes the sums of the query and of the key weight's gradient to two rows of {@code to}. */
  void writeSums(int worker, MemorySegment to, long offset) {
    write(DType.F32, buffers.row(worker, QUERY_SUMS), 0, to, offset, dim);
    write(DType.F32, buffers.row(worker, KEY_SUMS), 0, to, offset + 4L * dim, dim);
  }

  private void readHeads(MemorySegment from, long offset, float[] heads, int first, int count) {
    int together = stride == dim ? count : 1;
    for (int h = 0; h < count; h += together) {
      read(dtype, from, offset + h * headBytes, heads, (first + h) * stride, together * dim);
    }
  }

  private void writeHeads(float[] heads, int first, MemorySegment to, long offset, int count) {
    int together = stride == dim ? count : 1;
    for (int h = 0; h < count; h += together) {
      write(dtype, heads, (first + h) * stride, to, offset + h * headBytes, together * dim);
    }
  }

  /**
   * Turns all heads of a token in place.
   *
   * @param direction 1 forward; -1 back, which is the transpose as well
   */
  private void turn(int worker, long token, float[] heads, int direction) {
    if (half == 0) {
      return;
    }
    float[] cosines = buffers.row(worker, COSINES);
    float[] sines = buffers.row(worker, SINES);
    long angles = 4L * half * positions.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * token);
    read(DType.F32, cosine, angles, cosines, 0, half);
    read(DType.F32, sine, angles, sines, 0, half);
    if (interleaved) {
      PairRows.repeat(cosines, sines, direction, half);
      for (int h = 0; h < queryHeads + keyHeads; h++) {
        PairRows.turn(heads, h * stride, cosines, sines, 2 * half);
      }
      return;
    }
    for (int h = 0; h < queryHeads + keyHeads; h++) {
      turnHead(heads, h * stride, cosines, sines, direction, half);
    }
  }

  static void turnHead(
      float[] heads, int start, float[] cosines, float[] sines, float direction, int half) {
    int vectors = half - half % LANES;
    for (int i = 0; i < vectors; i += LANES) {
      FloatVector cos = FloatVector.fromArray(FLOATS, cosines, i);
      FloatVector sin = FloatVector.fromArray(FLOATS, sines, i).mul(direction);
      FloatVector a = FloatVector.fromArray(FLOATS, heads, start + i);
      FloatVector b = FloatVector.fromArray(FLOATS, heads, start + half + i);
      a.mul(cos).sub(b.mul(sin)).intoArray(heads, start + i);
      b.mul(cos).add(a.mul(sin)).intoArray(heads, start + half + i);
    }
    for (int i = vectors; i < half; i++) {
      float sin = sines[i] * direction;
      float a = heads[start + i];
      float b = heads[start + half + i];
      heads[start + i] = a * cosines[i] - b * sin;
      heads[start + half + i] = b * cosines[i] + a * sin;
    }
  }
}
