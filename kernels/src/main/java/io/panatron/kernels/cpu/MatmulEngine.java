package io.panatron.kernels.cpu;

import io.panatron.bindings.onednn.ElementType;
import io.panatron.bindings.onednn.MathMode;
import io.panatron.bindings.onednn.MatmulDescription;
import io.panatron.bindings.onednn.Matrix;
import io.panatron.bindings.onednn.OneDnn;
import io.panatron.kernels.DType;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products on the calling thread: {@code C = A B} or {@code C += A B}, of tiles that the cpu
 * backend hands to its workers.
 *
 * <p>Every matrix is row-major. A is [m, k], or [k, m] where it is transposed; B is [k, n], or [n,
 * k]; C is [m, n]; rows are {@code lda}, {@code ldb}, {@code ldc} elements apart. The caller
 * answers for addresses. The order of the sums depends on the arguments alone, so equal calls give
 * equal bits on any thread.
 *
 * <p>F32 products go to oneDNN's {@code sgemm}, which compiles nothing for a shape and is as fast
 * as its compiled primitives (docs/decisions/005). BF16 products exist where the processor
 * multiplies BF16 itself; they run through compiled primitives, whose number {@link PrimitiveCache}
 * bounds.
 */
final class MatmulEngine implements AutoCloseable {
  private final OneDnn oneDnn;
  private final PrimitiveCache[] caches;
  private final Optional<String> bf16Kernel;
  private final boolean multipliesBf16;

  /** Who multiplies BF16. */
  enum Bf16Products {
    /** oneDNN, if it has a kernel that uses BF16 instructions. */
    DETECTED,
    /** oneDNN if it has any kernel, even one that emulates the instructions slowly: for tests. */
    ONEDNN
  }

  /**
   * @param cacheFolder where unpacked native libraries are kept, or null for none
   * @param workers how many threads will call, numbered from 0
   * @throws io.panatron.bindings.NativeLibraryException where oneDNN cannot be loaded
   */
  MatmulEngine(@Nullable Path cacheFolder, int workers, Bf16Products bf16) {
    oneDnn = OneDnn.open(cacheFolder);
    caches = new PrimitiveCache[workers];
    for (int worker = 0; worker < workers; worker++) {
      caches[worker] = new PrimitiveCache(oneDnn);
    }
    bf16Kernel = bf16Kernel(oneDnn);
    // Its other BF16 kernel ("gemm:jit") emulates the instructions at a third of the speed of F32.
    multipliesBf16 =
        bf16Kernel.isPresent()
            && (bf16 == Bf16Products.ONEDNN || bf16Kernel.get().startsWith("brg"));
  }

  /** oneDNN's kernel for BF16; none without AVX-512. */
  static Optional<String> bf16Kernel(OneDnn oneDnn) {
    Matrix square = Matrix.of(ElementType.BF16, 64, 64);
    return oneDnn.kernel(MatmulDescription.of(square, square, square));
  }

  /** Whether BF16 inputs are multiplied at least as fast as F32; if not, widen them first. */
  boolean multipliesBf16() {
    return multipliesBf16;
  }

  /** One phrase for {@code Device.describe()}. */
  String describe() {
    return "oneDNN "
        + oneDnn.version()
        + ", bf16 products "
        + (multipliesBf16 ? "by " + bf16Kernel.orElseThrow() : "widened to f32");
  }

  /** Runs first on every thread that multiplies: from then on oneDNN uses that thread alone. */
  void startThread() {
    oneDnn.useThreads(1);
  }

  /** Runs last on the thread of a worker: closes what only that thread may close. */
  void stopThread(int worker) {
    caches[worker].close();
  }

  /** Compiled products that a worker now keeps. */
  int compiledProducts(int worker) {
    return caches[worker].size();
  }

  /**
   * One product; nothing happens where C is empty.
   *
   * <p>Each distinct (m, n, k) of a BF16 product is compiled. So that varying token counts compile
   * few of them, the extent that counts tokens is cut into powers of two: k where A is transposed,
   * which is the form of a weight gradient, else m. The other extents are widths of the model.
   *
   * @param worker the number of the calling thread
   * @param inputs dtype of A and B, F32 or BF16; C is F32
   */
  void multiply(
      int worker,
      DType inputs,
      int m,
      int n,
      int k,
      boolean transposeA,
      long a,
      long lda,
      boolean transposeB,
      long b,
      long ldb,
      boolean accumulate,
      long c,
      long ldc) {
    if (m == 0 || n == 0) {
      return;
    }
    if (inputs == DType.F32) {
      oneDnn.sgemm(transposeA, transposeB, m, n, k, a, lda, b, ldb, accumulate ? 1 : 0, c, ldc);
      return;
    }
    int depth;
    for (int inner = 0; inner < k; inner += depth) {
      depth = transposeA ? TileSizes.powerOfTwoAt(inner, k, TileSizes.EDGE) : k;
      long right = b + Short.BYTES * (transposeB ? inner : inner * ldb);
      int rows;
      for (int row = 0; row < m; row += rows) {
        rows = transposeA ? m : TileSizes.powerOfTwoAt(row, m, TileSizes.EDGE);
        long left = a + Short.BYTES * (transposeA ? inner * lda + row : row * lda + inner);
        MatmulDescription product =
            bf16Product(
                rows, n, depth, transposeA, lda, transposeB, ldb, accumulate || inner > 0, ldc);
        caches[worker].execute(product, left, right, c + (long) Float.BYTES * row * ldc);
      }
    }
  }

  private static MatmulDescription bf16Product(
      int m,
      int n,
      int k,
      boolean transposeA,
      long lda,
      boolean transposeB,
      long ldb,
      boolean accumulate,
      long ldc) {
    Matrix left =
        transposeA
            ? Matrix.of(ElementType.BF16, k, m, lda).transposed()
            : Matrix.of(ElementType.BF16, m, k, lda);
    Matrix right =
        transposeB
            ? Matrix.of(ElementType.BF16, n, k, ldb).transposed()
            : Matrix.of(ElementType.BF16, k, n, ldb);
    Matrix result = Matrix.of(ElementType.F32, m, n, ldc);
    return new MatmulDescription(left, right, result, accumulate, false, MathMode.STRICT);
  }

  @Override
  public void close() {
    oneDnn.close();
  }
}
