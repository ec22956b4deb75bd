package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;
import static io.panatron.kernels.cpu.RowBuffers.STRETCH;

import io.panatron.kernels.Activation;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;

/**
 * {@code y = f(x)} and {@code dx = dy f'(x)} for each element, in stretches that stay in the L1
 * cache: first the exponential that a function needs, then the function.
 */
final class CpuActivation {
  /** Twice sqrt(2 / pi), and that times 0.044715: the sigmoid form of the tanh approximation. */
  private static final float TANH_LINEAR = 1.5957691f;

  private static final float TANH_CUBIC = 0.071354814f;

  private static final float QUICK = 1.702f;

  private final WorkerPool pool;
  private final RowBuffers buffers;

  CpuActivation(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 3);
    this.buffers.reserve(STRETCH);
  }

  void forward(Activation activation, Tensor x, Tensor y) {
    DType dtype = x.dtype();
    long bytes = x.dtype().bytes();
    MemorySegment in = HostMemory.of(x);
    MemorySegment out = HostMemory.of(y);
    Pieces pieces = Pieces.ofElements(x.elements());
    pool.run(
        pieces.count(),
        (worker, piece) -> {
          float[] values = buffers.row(worker, 0);
          float[] exponential = buffers.row(worker, 1);
          long start = pieces.start(piece);
          int count = pieces.length(piece);
          for (int first = 0; first < count; first += STRETCH) {
            int n = Math.min(STRETCH, count - first);
            read(dtype, in, (start + first) * bytes, values, n);
            exponentials(activation, values, exponential, n);
            forward(activation, values, exponential, n);
            write(dtype, values, out, (start + first) * bytes, n);
          }
        });
  }

  void backward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    DType dtype = x.dtype();
    long bytes = x.dtype().bytes();
    MemorySegment in = HostMemory.of(x);
    MemorySegment upstream = HostMemory.of(dy);
    MemorySegment out = HostMemory.of(dx);
    Pieces pieces = Pieces.ofElements(x.elements());
    pool.run(
        pieces.count(),
        (worker, piece) -> {
          float[] values = buffers.row(worker, 0);
          float[] exponential = buffers.row(worker, 1);
          float[] gradient = buffers.row(worker, 2);
          long start = pieces.start(piece);
          int count = pieces.length(piece);
          for (int first = 0; first < count; first += STRETCH) {
            int n = Math.min(STRETCH, count - first);
            read(dtype, in, (start + first) * bytes, values, n);
            read(dtype, upstream, (start + first) * bytes, gradient, n);
            exponentials(activation, values, exponential, n);
            backward(activation, values, exponential, gradient, n);
            write(dtype, gradient, out, (start + first) * bytes, n);
          }
        });
  }

  /** {@code e^(-x^2 / 2)} for the exact GELU, {@code e^-u} for {@code x sigmoid(u)}. */
  private static void exponentials(Activation activation, float[] x, float[] to, int n) {
    switch (activation) {
      case GELU -> {
        ActivationRows.squares(x, to, -0.5f, n);
        VectorMath.exp(1, to, to, n);
      }
      case GELU_TANH -> {
        ActivationRows.cubic(x, to, TANH_LINEAR, TANH_CUBIC, n);
        VectorMath.exp(-1, to, to, n);
      }
      case QUICK_GELU -> VectorMath.exp(-QUICK, x, to, n);
      case SILU -> VectorMath.exp(-1, x, to, n);
      case RELU, SQUARED_RELU -> {}
    }
  }

  /** Turns {@code x} into the result. */
  private static void forward(Activation activation, float[] x, float[] exponential, int n) {
    switch (activation) {
      case GELU -> ActivationRows.normal(x, exponential, n);
      case GELU_TANH, QUICK_GELU, SILU -> ActivationRows.sigmoid(x, exponential, n);
      case RELU -> ActivationRows.rectify(x, 1, 0, n);
      case SQUARED_RELU -> ActivationRows.rectify(x, 0, 1, n);
    }
  }

  /** Turns {@code dy} into the gradient. */
  private static void backward(
      Activation activation, float[] x, float[] exponential, float[] dy, int n) {
    switch (activation) {
      case GELU -> ActivationRows.normalGradient(x, exponential, dy, n);
      case GELU_TANH ->
          ActivationRows.sigmoidGradient(x, exponential, dy, TANH_LINEAR, 3 * TANH_CUBIC, n);
      case QUICK_GELU -> ActivationRows.sigmoidGradient(x, exponential, dy, QUICK, 0, n);
      case SILU -> ActivationRows.sigmoidGradient(x, exponential, dy, 1, 0, n);
      case RELU -> ActivationRows.rectifyGradient(x, dy, 1, 0, n);
      case SQUARED_RELU -> ActivationRows.rectifyGradient(x, dy, 0, 2, n);
    }
  }
}
