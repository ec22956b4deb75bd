package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.bindings.NativeLibraries;
import io.panatron.kernels.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Products of small whole numbers, whose sums are exact in any order: below, at and beyond the
 * blocks into which F32 products are cut on some processors.
 */
class MatmulEngineTest {
  private static final int GAP = 3;

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1",
    "127, 128, 127",
    "128, 128, 128",
    "129, 127, 300",
    "300, 200, 270",
    "256, 130, 129"
  })
  void equalsThePlainSumInEveryForm(int m, int n, int k) {
    try (MatmulEngine engine =
            new MatmulEngine(
                NativeLibraries.cacheFolder(System.getenv()),
                1,
                MatmulEngine.HalfProducts.DETECTED);
        Arena arena = Arena.ofConfined()) {
      engine.startThread();
      for (int form = 0; form < 8; form++) {
        check(engine, arena, m, n, k, (form & 1) > 0, (form & 2) > 0, (form & 4) > 0);
      }
      engine.stopThread(0);
    }
  }

  private static void check(
      MatmulEngine engine,
      Arena arena,
      int m,
      int n,
      int k,
      boolean transposeA,
      boolean transposeB,
      boolean accumulate) {
    SplittableRandom random = new SplittableRandom(7);
    int lda = (transposeA ? m : k) + GAP;
    int ldb = (transposeB ? k : n) + GAP;
    int ldc = n + GAP;
    MemorySegment a = wholeNumbers(arena, random, (transposeA ? k : m) * lda);
    MemorySegment b = wholeNumbers(arena, random, (transposeB ? n : k) * ldb);
    MemorySegment c = wholeNumbers(arena, random, m * ldc);
    float[] expected = c.toArray(ValueLayout.JAVA_FLOAT);
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < n; j++) {
        float sum = accumulate ? expected[i * ldc + j] : 0;
        for (int p = 0; p < k; p++) {
          float left = a.getAtIndex(ValueLayout.JAVA_FLOAT, transposeA ? p * lda + i : i * lda + p);
          float right =
              b.getAtIndex(ValueLayout.JAVA_FLOAT, transposeB ? j * ldb + p : p * ldb + j);
          sum += left * right;
        }
        expected[i * ldc + j] = sum;
      }
    }
    engine.multiply(
        0,
        DType.F32,
        m,
        n,
        k,
        transposeA,
        a.address(),
        lda,
        transposeB,
        b.address(),
        ldb,
        accumulate,
        c.address(),
        ldc);
    assertThat(c.toArray(ValueLayout.JAVA_FLOAT))
        .as("transposed %s %s, accumulate %s", transposeA, transposeB, accumulate)
        .isEqualTo(expected);
  }

  private static MemorySegment wholeNumbers(Arena arena, SplittableRandom random, int count) {
    MemorySegment segment = arena.allocate((long) count * Float.BYTES, 64);
    for (int i = 0; i < count; i++) {
      segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, random.nextInt(-4, 5));
    }
    return segment;
  }
}
