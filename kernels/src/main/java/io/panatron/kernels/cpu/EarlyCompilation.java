package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Runs every vector loop on a few numbers while the model loads, so that the first step finds them
 * compiled.
 *
 * <p>Before it is compiled, a vector loop takes about ten thousand times as long: each vector
 * operation is a Java call through several layers. With the launcher's options a loop is compiled
 * within a few calls, and the call waits for the compiler. So the thread below takes about a second
 * on a core that loading a model leaves idle, and what it computes is thrown away.
 *
 * <p>Which loops there are is compared with the code by JavaOptionsTest.
 */
final class EarlyCompilation implements AutoCloseable {
  /** Enough for both compilers to step in. */
  private static final int CALLS = 40;

  /**
   * Numbers that a loop works on. As many as a row of a model has: compiled after a few short
   * turns, the loops on memory segments stay half as fast for good.
   */
  private static final int COUNT = 512;

  private final Thread thread;
  private volatile boolean closed;

  /** Starts. */
  EarlyCompilation() {
    thread = Thread.ofPlatform().daemon().name("early-compilation").start(this::run);
  }

  /** Waits for the loop that is being compiled. */
  @Override
  public void close() {
    closed = true;
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    // Shared like the memory of tensors, whose owner's class is compiled into the loops.
    try (Arena arena = Arena.ofShared()) {
      for (Runnable loop : loops(arena.allocate(8L * COUNT * Float.BYTES, 64))) {
        for (int call = 0; call < CALLS && !closed; call++) {
          loop.run();
        }
      }
    }
  }

  /**
   * In the order in which a step needs them; those of BF16 last, which not every run needs, and
   * none of F16, which few do.
   */
  private static List<Runnable> loops(MemorySegment memory) {
    int n = COUNT;
    float[] a = new float[2 * n];
    float[] b = new float[2 * n];
    float[] c = new float[2 * n];
    float[] d = new float[2 * n];
    double[] sums = new double[n];
    var adamW = new CpuOptimizer.AdamWFactors(1, 1, 0.1f, 0.9f, 0.1f, 1, 1e-8f, 1e-4f);
    return List.of(
        () -> RowAccess.read(DType.F32, memory, 0, a, n),
        () -> NormRows.reciprocalRoot(a, 0, n, 1e-6),
        () -> NormRows.scale(a, 0, 1, b, n),
        () -> RowAccess.write(DType.F32, a, memory, 0, n),
        () -> HeadRows.turnHead(a, 0, b, c, 1, n / 2),
        () -> TileRows.read(DType.F32, memory, 0, memory, n, n, 1),
        () -> SoftmaxRows.max(memory, 0, n),
        () -> SoftmaxRows.powers(memory, 0, n, 1, 0),
        () -> TileRows.zero(memory, 0, n),
        () -> VectorMath.exp(1, a, b, n),
        () -> CpuSwiglu.forward(a, b, c, n),
        () -> NormRows.add(a, b, n),
        () -> TileRows.dot(memory, 0, memory, n, n),
        () -> SoftmaxRows.gradients(memory, 0, n, n, 0, 0),
        () -> CpuSwiglu.backward(a, b, c, d, n),
        () -> NormRows.gradient(a, 0, 1, b, c, 0, d, n),
        () -> TileRows.add(memory, 0, memory, n, n),
        () -> CpuReduction.addSquares(a, n, sums, 0),
        () -> CpuOptimizer.adamWRow(adamW, a, b, c, d, n),
        () -> CpuElementwise.scaleRow(a, 1, n),
        () -> RowAccess.read(DType.BF16, memory, 0, a, n),
        () -> RowAccess.write(DType.BF16, a, memory, 0, n),
        () -> TileRows.read(DType.BF16, memory, 0, memory, n, n, 1),
        () -> TileRows.write(DType.BF16, memory, n, memory, 0, n, 1));
  }
}
