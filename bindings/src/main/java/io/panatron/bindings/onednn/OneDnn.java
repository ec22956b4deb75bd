package io.panatron.bindings.onednn;

import io.panatron.bindings.NativeCallException;
import io.panatron.bindings.NativeLibraries;
import io.panatron.bindings.onednn.generated.OneDnnC;
import io.panatron.bindings.onednn.generated.dnnl_version_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The oneDNN library on this machine's CPU: what makes streams and matrix multiplications.
 *
 * <p>One instance serves all threads of a process. Streams and executions belong to one thread
 * each; primitives may be shared. Everything made here is closed before it: executions, then
 * primitives and streams, then this.
 *
 * <p><b>Threads</b> OpenMP counts threads per calling thread. A worker calls {@link #useThreads
 * useThreads(1)} first: its calls then run on itself, no OpenMP team is ever formed, and nothing
 * spins beside the workers.
 */
public final class OneDnn implements AutoCloseable {
  /**
   * Kernels that the library keeps for later primitives of equal description, besides those in use.
   * One takes about 270 KiB, so this bounds what variable lengths leave behind to 35 MiB.
   */
  private static final int PRIMITIVE_CACHE_CAPACITY = 128;

  private final MemorySegment engine;
  private boolean open = true;

  private OneDnn(MemorySegment engine) {
    this.engine = engine;
  }

  /**
   * Loads the library and opens the CPU.
   *
   * @param cacheFolder see {@link NativeLibraries#loadOneDnn}
   * @throws io.panatron.bindings.NativeLibraryException where the library cannot be loaded
   */
  public static OneDnn open(@Nullable Path cacheFolder) {
    NativeLibraries.loadOneDnn(cacheFolder);
    int status = OneDnnC.dnnl_set_primitive_cache_capacity(PRIMITIVE_CACHE_CAPACITY);
    Status.check(status, "dnnl_set_primitive_cache_capacity", PRIMITIVE_CACHE_CAPACITY);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(OneDnnC.C_POINTER);
      Status.check(
          OneDnnC.dnnl_engine_create(out, OneDnnC.dnnl_cpu(), 0), "dnnl_engine_create", "cpu, 0");
      return new OneDnn(out.get(OneDnnC.C_POINTER, 0));
    }
  }

  /** Version of the loaded library, such as "3.13.0". */
  public String version() {
    MemorySegment version = OneDnnC.dnnl_version();
    return "%d.%d.%d"
        .formatted(
            dnnl_version_t.major(version),
            dnnl_version_t.minor(version),
            dnnl_version_t.patch(version));
  }

  /** Sets how many threads oneDNN uses when the calling thread calls it. */
  public void useThreads(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("oneDNN needs at least one thread, not " + threads);
    }
    OneDnnC.omp_set_num_threads(threads);
  }

  /**
   * How many threads oneDNN uses when the calling thread calls it; without {@link #useThreads}, one
   * per core.
   */
  public int threads() {
    return OneDnnC.omp_get_max_threads();
  }

  /** Makes a stream for the calling thread. */
  public OneDnnStream newStream() {
    return new OneDnnStream(engine());
  }

  /**
   * Makes a multiplication, planned for as many threads as the calling thread uses.
   *
   * @throws io.panatron.bindings.NativeCallException where this CPU has no kernel for it
   */
  public MatmulPrimitive matmul(MatmulDescription description) {
    return MatmulPrimitive.create(engine(), description, threads());
  }

  /**
   * oneDNN's name of the kernel that multiplies so, such as "brg_matmul:avx512_core"; empty where
   * this CPU has none. AVX2 alone, for one, does not multiply {@link ElementType#BF16}.
   */
  public Optional<String> kernel(MatmulDescription description) {
    try (MatmulPrimitive made = matmul(description)) {
      return Optional.of(made.implementation());
    } catch (NativeCallException e) {
      if (e.code() == Status.UNIMPLEMENTED) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * {@code C = op(A) op(B) + beta C} in f32 without a primitive: nothing is compiled for the shape,
   * which suits sizes that come once. Every matrix is row-major; {@code op} is the identity or the
   * transposition.
   *
   * @param a address of A: [m, k], or [k, m] where transposed, rows {@code lda} elements apart
   * @param b address of B: [k, n], or [n, k] where transposed, rows {@code ldb} elements apart
   * @param beta 0 overwrites C, which may then hold anything; 1 adds to it
   * @param c address of C: [m, n], rows {@code ldc} elements apart
   */
  public void sgemm(
      boolean transposeA,
      boolean transposeB,
      long m,
      long n,
      long k,
      long a,
      long lda,
      long b,
      long ldb,
      float beta,
      long c,
      long ldc) {
    int status =
        OneDnnC.dnnl_sgemm(
            (byte) (transposeA ? 'T' : 'N'),
            (byte) (transposeB ? 'T' : 'N'),
            m,
            n,
            k,
            1f,
            MemorySegment.ofAddress(a),
            lda,
            MemorySegment.ofAddress(b),
            ldb,
            beta,
            MemorySegment.ofAddress(c),
            ldc);
    if (status != OneDnnC.dnnl_success()) {
      Status.check(
          status,
          "dnnl_sgemm",
          "transposed %b %b, m %d, n %d, k %d, lda %d, ldb %d, ldc %d"
              .formatted(transposeA, transposeB, m, n, k, lda, ldb, ldc));
    }
  }

  private MemorySegment engine() {
    if (!open) {
      throw new IllegalStateException("oneDNN is closed");
    }
    return engine;
  }

  @Override
  public void close() {
    if (open) {
      open = false;
      Status.check(OneDnnC.dnnl_engine_destroy(engine), "dnnl_engine_destroy", "");
    }
  }
}
