package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import io.panatron.kernels.Workload;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
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

  private final Workload workload;
  private final Thread thread;
  private volatile boolean closed;

  /**
   * Starts.
   *
   * @param workload what is about to be computed
   */
  EarlyCompilation(Workload workload) {
    this.workload = workload;
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
      MemorySegment memory = arena.allocate(8L * COUNT * Float.BYTES, 64);
      List<Runnable> loops = new ArrayList<>(forward(memory));
      loops.addAll(workload == Workload.TRAINING ? backward(memory) : singleQueries(memory));
      loops.addAll(bf16(memory));
      for (Runnable loop : loops) {
        for (int call = 0; call < CALLS && !closed; call++) {
          loop.run();
        }
      }
    }
  }

  // In the order in which a step needs them; those of BF16 last, which not every run needs, and
  // none of F16, which few do.

  private static List<Runnable> forward(MemorySegment memory) {
    int n = COUNT;
    float[] a = new float[2 * n];
    float[] b = new float[2 * n];
    float[] c = new float[2 * n];
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
        () -> TileRows.dot(memory, 0, memory, n, n));
  }

  private static List<Runnable> backward(MemorySegment memory) {
    int n = COUNT;
    float[] a = new float[2 * n];
    float[] b = new float[2 * n];
    float[] c = new float[2 * n];
    float[] d = new float[2 * n];
    double[] sums = new double[n];
    var adamW = new CpuOptimizer.AdamWFactors(1, 1, 0.1f, 0.9f, 0.1f, 1, 1e-8f, 1e-4f);
    return List.of(
        () -> SoftmaxRows.gradients(memory, 0, n, n, 0, 0),
        () -> CpuSwiglu.backward(a, b, c, d, n),
        () -> NormRows.gradient(a, 0, 1, b, c, 0, d, n),
        () -> TileRows.add(memory, 0, memory, n, n),
        () -> CpuReduction.addSquares(a, n, sums, 0),
        () -> CpuOptimizer.adamWRow(adamW, a, b, c, d, n),
        () -> CpuElementwise.scaleRow(a, 1, n));
  }

  private static List<Runnable> singleQueries(MemorySegment memory) {
    int keys = COUNT / SingleQueryRows.BLOCK;
    int block = SingleQueryRows.BLOCK;
    int groups = keys / SingleQueryRows.GROUP;
    float[] lanes = new float[2 * COUNT];
    float[] sums = new float[COUNT];
    return List.of(
        () -> SingleQueryRows.scores(memory, 0, block, keys, memory, 0, 0, lanes, 0, COUNT),
        () -> SingleQueryRows.fold(lanes, 0, groups, sums, 0),
        () -> SingleQueryRows.weigh(memory, 0, block, keys, memory, 0, 0, COUNT, COUNT),
        () -> TileRows.add(memory, 0, memory, COUNT, COUNT));
  }

  private static List<Runnable> bf16(MemorySegment memory) {
    int n = COUNT;
    float[] a = new float[2 * n];
    return List.of(
        () -> RowAccess.read(DType.BF16, memory, 0, a, n),
        () -> RowAccess.write(DType.BF16, a, memory, 0, n),
        () -> TileRows.read(DType.BF16, memory, 0, memory, n, n, 1),
        () -> TileRows.write(DType.BF16, memory, n, memory, 0, n, 1));
  }
}
