package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorAccess.load;
import static io.panatron.kernels.cpu.VectorAccess.store;
import static io.panatron.kernels.cpu.VectorMath.LANES;
import static io.panatron.kernels.cpu.VectorMath.sigmoid;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * {@code y = gate sigmoid(gate) up} and, with {@code s = sigmoid(gate)}, {@code dGate = dy up (s + gate
 * s (1 - s))} and {@code dUp = dy gate s}.
 *
 * <p><b>Shapes</b>: gateUp, dGateUp: [tokens, 2 width], gate first; y, dy: [tokens, width].
 */
final class CpuSwiglu {
  private final WorkerPool pool;

  CpuSwiglu(WorkerPool pool) {
    this.pool = pool;
  }

  void swigluForward(Tensor gateUp, Tensor y) {
    boolean bf16 = gateUp.dtype() == DType.BF16;
    int width = y.shape().columns();
    MemorySegment in = HostMemory.of(gateUp);
    MemorySegment out = HostMemory.of(y);
    Pieces rows = Pieces.ofRows(y.shape().rows(), width);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            forwardRow(bf16, in, out, row, width);
          }
        });
  }

  void swigluBackward(Tensor gateUp, Tensor dy, Tensor dGateUp) {
    boolean bf16 = gateUp.dtype() == DType.BF16;
    int width = dy.shape().columns();
    MemorySegment in = HostMemory.of(gateUp);
    MemorySegment upstream = HostMemory.of(dy);
    MemorySegment out = HostMemory.of(dGateUp);
    Pieces rows = Pieces.ofRows(dy.shape().rows(), width);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            backwardRow(bf16, in, upstream, out, row, width);
          }
        });
  }

  private static void forwardRow(
      boolean bf16, MemorySegment gateUp, MemorySegment y, long row, int width) {
    long rowBytes = (bf16 ? 2L : 4L) * width;
    long gateBase = 2 * row * rowBytes;
    long upBase = gateBase + rowBytes;
    long base = row * rowBytes;
    for (int i = 0; i < width; i += LANES) {
      FloatVector gate = load(bf16, gateUp, gateBase, i, width);
      FloatVector up = load(bf16, gateUp, upBase, i, width);
      store(bf16, gate.mul(sigmoid(gate)).mul(up), y, base, i, width);
    }
  }

  private static void backwardRow(
      boolean bf16,
      MemorySegment gateUp,
      MemorySegment dy,
      MemorySegment dGateUp,
      long row,
      int width) {
    long rowBytes = (bf16 ? 2L : 4L) * width;
    long gateBase = 2 * row * rowBytes;
    long upBase = gateBase + rowBytes;
    long base = row * rowBytes;
    for (int i = 0; i < width; i += LANES) {
      FloatVector gate = load(bf16, gateUp, gateBase, i, width);
      FloatVector up = load(bf16, gateUp, upBase, i, width);
      FloatVector d = load(bf16, dy, base, i, width);
      FloatVector s = sigmoid(gate);
      FloatVector silu = gate.mul(s);
      FloatVector slope = silu.neg().fma(s, silu.add(s));
      store(bf16, d.mul(up).mul(slope), dGateUp, gateBase, i, width);
      store(bf16, d.mul(silu), dGateUp, upBase, i, width);
    }
  }
}
