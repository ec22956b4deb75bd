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
 * as its compiled primitives, except on processors without AVX-512: there two of its three forms
 * are slow, and whole blocks of these go to primitives (docs/decisions/005). BF16 and F16 products
 * exist where the processor multiplies these itself; they run through primitives. {@link
 * PrimitiveCache} bounds how many are kept.
 */
final class MatmulEngine implements AutoCloseable {
  /**
   * Depth, and what rows are a multiple of, of the blocks in which F32 products run where sgemm
   * packs badly.
   */
  private static final int BLOCK = 128;

  /** Narrower products (attention's with values) are faster in sgemm everywhere. */
  private static final int LEAST_BLOCK_COLUMNS = 128;

  private final OneDnn oneDnn;
  private final PrimitiveCache[] caches;
  private final HalfProduct bf16;
  private final HalfProduct f16;
  private final boolean blocksF32;

  /** Who multiplies BF16 and F16. */
  enum HalfProducts {
    /** oneDNN, if it has a kernel that uses the processor's instructions for them. */
    DETECTED,
    /** oneDNN if it has any kernel, even one that emulates the instructions slowly: for tests. */
    ONEDNN
  }

  /**
   * How a 16-bit type is multiplied.
   *
   * @param kernel oneDNN's, if there is one
   * @param used whether products run through it; if not, operands are widened to F32 first
   */
  private record HalfProduct(Optional<String> kernel, boolean used) {
    static HalfProduct of(OneDnn oneDnn, ElementType type, HalfProducts wanted) {
      Optional<String> kernel = MatmulEngine.kernel(oneDnn, type);
      // The other kernels ("gemm:jit") emulate the instructions at a third of the speed of F32.
      boolean used =
          kernel.isPresent() && (wanted == HalfProducts.ONEDNN || kernel.get().startsWith("brg"));
      return new HalfProduct(kernel, used);
    }

    String describe() {
      return used ? "by " + kernel.orElseThrow() : "widened to f32";
    }
  }

  /**
   * @param cacheFolder where unpacked native libraries are kept, or null for none
   * @param workers how many threads will call, numbered from 0
   * @throws io.panatron.bindings.NativeLibraryException where oneDNN cannot be loaded
   */
  MatmulEngine(@Nullable Path cacheFolder, int workers, HalfProducts halves) {
    oneDnn = OneDnn.open(cacheFolder);
    caches = new PrimitiveCache[workers];
    for (int worker = 0; worker < workers; worker++) {
      caches[worker] = new PrimitiveCache(oneDnn);
    }
    bf16 = HalfProduct.of(oneDnn, ElementType.BF16, halves);
    f16 = HalfProduct.of(oneDnn, ElementType.F16, halves);
    blocksF32 = kernel(oneDnn, ElementType.F32).equals(Optional.of("brg_matmul:avx2"));
  }

  private static Optional<String> kernel(OneDnn oneDnn, ElementType type) {
    Matrix square = Matrix.of(type, 64, 64);
    return oneDnn.kernel(MatmulDescription.of(square, square, square));
  }

  /** Whether inputs of this dtype are multiplied as they are; if not, widen them to F32 first. */
  boolean multiplies(DType dtype) {
    return switch (dtype) {
      case F32 -> true;
      case BF16 -> bf16.used;
      case F16 -> f16.used;
      case F64, F8_E4M3, I16, I32 -> false;
    };
  }

  /** One phrase for {@code Device.describe()}. */
  String describe() {
    return "oneDNN %s, bf16 products %s, f16 products %s"
        .formatted(oneDnn.version(), bf16.describe(), f16.describe());
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
   * One product; nothing happens where C is empty. k is at least 1.
   *
   * <p>Each distinct (m, n, k) of a BF16 or F16 product is compiled. So that varying token counts
   * compile few of them, the extent that counts tokens is cut into powers of two: k where A is
   * transposed, which is the form of a weight gradient, else m. The other extents are widths of the
   * model.
   *
   * @param worker the number of the calling thread
   * @param inputs dtype of A and B, one that {@link #multiplies} names; C is F32
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
    Product product =
        new Product(inputs, n, transposeA, a, lda, transposeB, b, ldb, accumulate, c, ldc);
    if (inputs != DType.F32) {
      multiplyHalves(worker, product, m, k);
    } else if (blocksF32 && (transposeA || !transposeB) && n >= LEAST_BLOCK_COLUMNS) {
      multiplyInBlocks(worker, product, m, k);
    } else {
      sgemm(product, 0, m, 0, k);
    }
  }

  private void multiplyHalves(int worker, Product product, int m, int k) {
    int depth;
    for (int inner = 0; inner < k; inner += depth) {
      depth = product.transposeA ? TileSizes.powerOfTwoAt(inner, k, TileSizes.EDGE) : k;
      int rows;
      for (int row = 0; row < m; row += rows) {
        rows = product.transposeA ? m : TileSizes.powerOfTwoAt(row, m, TileSizes.EDGE);
        compiled(worker, product, row, rows, inner, depth);
      }
    }
  }

  /** Whole blocks by compiled products, of which there are few kinds; the rest by sgemm. */
  private void multiplyInBlocks(int worker, Product product, int m, int k) {
    int blockRows = m - m % BLOCK;
    int blockDepth = k - k % BLOCK;
    if (blockRows > 0) {
      // All rows at once: the primitive packs the right factor anew in each call.
      for (int inner = 0; inner < blockDepth; inner += BLOCK) {
        compiled(worker, product, 0, blockRows, inner, BLOCK);
      }
    }
    sgemm(product, 0, blockRows, blockDepth, k - blockDepth);
    sgemm(product, blockRows, m - blockRows, 0, k);
  }

  /** The contribution of {@code depth} terms from {@code inner} on to some rows of C. */
  private void sgemm(Product product, int row, int rows, int inner, int depth) {
    if (rows > 0 && depth > 0) {
      oneDnn.sgemm(
          product.transposeA,
          product.transposeB,
          rows,
          product.n,
          depth,
          product.left(row, inner),
          product.lda,
          product.right(inner),
          product.ldb,
          product.accumulates(inner) ? 1 : 0,
          product.result(row),
          product.ldc);
    }
  }

  /** The same by a primitive, compiled when it is first met. */
  private void compiled(int worker, Product product, int row, int rows, int inner, int depth) {
    caches[worker].execute(
        product.description(rows, depth, product.accumulates(inner)),
        product.left(row, inner),
        product.right(inner),
        product.result(row));
  }

  /** A product as the caller gave it, but for m and k. */
  private record Product(
      DType inputs,
      int n,
      boolean transposeA,
      long a,
      long lda,
      boolean transposeB,
      long b,
      long ldb,
      boolean accumulate,
      long c,
      long ldc) {
    long left(int row, int inner) {
      return a + inputs.bytes() * (transposeA ? inner * lda + row : row * lda + inner);
    }

    long right(int inner) {
      return b + inputs.bytes() * (transposeB ? inner : inner * ldb);
    }

    long result(int row) {
      return c + Float.BYTES * (row * ldc);
    }

    boolean accumulates(int inner) {
      return accumulate || inner > 0;
    }

    MatmulDescription description(int rows, int depth, boolean accumulates) {
      ElementType type =
          switch (inputs) {
            case F32 -> ElementType.F32;
            case BF16 -> ElementType.BF16;
            case F16 -> ElementType.F16;
            case F64, F8_E4M3, I16, I32 ->
                throw new IllegalArgumentException("no products of " + inputs);
          };
      Matrix left =
          transposeA
              ? Matrix.of(type, depth, rows, lda).transposed()
              : Matrix.of(type, rows, depth, lda);
      Matrix right =
          transposeB ? Matrix.of(type, n, depth, ldb).transposed() : Matrix.of(type, depth, n, ldb);
      Matrix result = Matrix.of(ElementType.F32, rows, n, ldc);
      return new MatmulDescription(left, right, result, accumulates, false, MathMode.STRICT);
    }
  }

  @Override
  public void close() {
    oneDnn.close();
  }
}
