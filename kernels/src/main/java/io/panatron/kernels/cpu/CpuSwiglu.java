package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * {@code y = gate sigmoid(gate) up} and, with {@code s = sigmoid(gate)}, {@code dGate = dy up s (1
 * + gate (1 - s))} and {@code dUp = dy gate s}.
 *
 * <p><b>Shapes</b>: gateUp, dGateUp: [tokens, 2 width], gate first; y, dy: [tokens, width].
 */
final class CpuSwiglu {
  private final WorkerPool pool;
  private final RowBuffers buffers;

  CpuSwiglu(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 4);
    this.buffers.reserve(RowBuffers.STRETCH);
  }

  void swigluForward(Tensor gateUp, Tensor y) {
    DType dtype = gateUp.dtype();
    int width = y.shape().columns();
    MemorySegment in = HostMemory.of(gateUp);
    MemorySegment out = HostMemory.of(y);
    Pieces rows = Pieces.ofRows(y.shape().rows(), width);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            forwardRow(dtype, in, out, row, width, worker);
          }
        });
  }

  void swigluBackward(Tensor gateUp, Tensor dy, Tensor dGateUp) {
    DType dtype = gateUp.dtype();
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
            backwardRow(dtype, in, upstream, out, row, width, worker);
          }
        });
  }

  private void forwardRow(
      DType dtype, MemorySegment gateUp, MemorySegment y, long row, int width, int worker) {
    float[] gate = buffers.row(worker, 0);
    float[] up = buffers.row(worker, 1);
    float[] exponential = buffers.row(worker, 2);
    int bytes = dtype.bytes();
    for (int first = 0; first < width; first += RowBuffers.STRETCH) {
      int n = Math.min(RowBuffers.STRETCH, width - first);
      long base = (2 * row * width + first) * bytes;
      read(dtype, gateUp, base, gate, n);
      read(dtype, gateUp, base + (long) width * bytes, up, n);
      VectorMath.exp(-1, gate, exponential, n);
      forward(gate, exponential, up, n);
      write(dtype, up, y, (row * width + first) * bytes, n);
    }
  }

  private void backwardRow(
      DType dtype,
      MemorySegment gateUp,
      MemorySegment dy,
      MemorySegment dGateUp,
      long row,
      int width,
      int worker) {
    float[] gate = buffers.row(worker, 0);
    float[] up = buffers.row(worker, 1);
    float[] exponential = buffers.row(worker, 2);
    float[] upstream = buffers.row(worker, 3);
    int bytes = dtype.bytes();
    for (int first = 0; first < width; first += RowBuffers.STRETCH) {
      int n = Math.min(RowBuffers.STRETCH, width - first);
      long base = (2 * row * width + first) * bytes;
      long upBase = base + (long) width * bytes;
      read(dtype, gateUp, base, gate, n);
      read(dtype, gateUp, upBase, up, n);
      read(dtype, dy, (row * width + first) * bytes, upstream, n);
      VectorMath.exp(-1, gate, exponential, n);
      backward(gate, exponential, up, upstream, n);
      write(dtype, gate, dGateUp, base, n);
      write(dtype, up, dGateUp, upBase, n);
    }
  }

  /** Turns {@code up} into the result, given {@code e^-gate}. */
  static void forward(float[] gate, float[] exponential, float[] up, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, gate, i)
          .mul(FloatVector.fromArray(FLOATS, up, i))
          .div(FloatVector.fromArray(FLOATS, exponential, i).add(1f))
          .intoArray(up, i);
    }
  }

  /** Turns {@code gate} and {@code up} into their gradients, given {@code e^-gate}. */
  static void backward(float[] gate, float[] exponential, float[] up, float[] dy, int n) {
    FloatVector one = FloatVector.broadcast(FLOATS, 1f);
    for (int i = 0; i < n; i += LANES) {
      FloatVector g = FloatVector.fromArray(FLOATS, gate, i);
      FloatVector d = FloatVector.fromArray(FLOATS, dy, i);
      FloatVector s = one.div(FloatVector.fromArray(FLOATS, exponential, i).add(one));
      // Factored: its two terms cancel near -1.28, and the error of s does not show there.
      FloatVector slope = g.fma(one.sub(s), one).mul(s);
      d.mul(FloatVector.fromArray(FLOATS, up, i)).mul(slope).intoArray(gate, i);
      d.mul(g.mul(s)).intoArray(up, i);
    }
  }
}
