package io.panatron.bindings.onednn;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.Arrays;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;

/**
 * Products of small whole numbers: every sum is exact in 32 bits whatever its order, and a bfloat16
 * result is that sum rounded once, so results are compared without tolerance.
 */
class MatmulPropertyTest {
  /**
   * How a matrix lies in memory: transposed or not, with unused elements after each row and each
   * matrix.
   */
  record Layout(boolean transposed, int rowGap, int batchGap) {
    Matrix matrix(ElementType type, int batch, int rows, int columns) {
      int inner = transposed ? rows : columns;
      int outer = transposed ? columns : rows;
      Matrix dense = Matrix.of(type, outer, inner, inner + rowGap);
      Matrix matrix = transposed ? dense.transposed() : dense;
      return matrix.batched(batch, (long) outer * (inner + rowGap) + batchGap);
    }
  }

  /** The combinations that the CPU backend uses. */
  enum Types {
    SINGLE(ElementType.F32, ElementType.F32),
    MIXED(ElementType.BF16, ElementType.F32),
    HALF(ElementType.BF16, ElementType.BF16);

    private final ElementType factors;
    private final ElementType result;

    Types(ElementType factors, ElementType result) {
      this.factors = factors;
      this.result = result;
    }

    boolean multiplies(OneDnn oneDnn) {
      Matrix factor = Matrix.of(factors, 8, 8);
      return oneDnn
          .kernel(MatmulDescription.of(factor, factor, Matrix.of(result, 8, 8)))
          .isPresent();
    }
  }

  /** Those that this processor has a kernel for: all with AVX-512, F32 alone without. */
  @Provide
  Arbitrary<Types> types() {
    try (OneDnn oneDnn = OneDnn.open(TestMatrices.CACHE)) {
      oneDnn.useThreads(1);
      return Arbitraries.of(
          Arrays.stream(Types.values()).filter(types -> types.multiplies(oneDnn)).toList());
    }
  }

  @Provide
  Arbitrary<Layout> layouts() {
    return Combinators.combine(
            Arbitraries.of(false, true),
            Arbitraries.integers().between(0, 5),
            Arbitraries.integers().between(0, 7))
        .as(Layout::new);
  }

  @Property(tries = 1000)
  void equalsThePlainSum(
      @ForAll @IntRange(min = 1, max = 70) int m,
      @ForAll @IntRange(min = 1, max = 70) int n,
      @ForAll @IntRange(min = 1, max = 150) int k,
      @ForAll @IntRange(min = 1, max = 3) int batch,
      @ForAll boolean oneA,
      @ForAll("layouts") Layout a,
      @ForAll("layouts") Layout b,
      @ForAll @IntRange(max = 9) int gapC,
      @ForAll boolean accumulate,
      @ForAll("types") Types types,
      @ForAll long seed) {
    MatmulDescription description =
        new MatmulDescription(
            a.matrix(types.factors, oneA ? 1 : batch, m, k),
            b.matrix(types.factors, batch, k, n),
            new Layout(false, gapC, gapC).matrix(types.result, batch, m, n),
            accumulate,
            false,
            MathMode.STRICT);
    check(description, seed);
  }

  @Property(tries = 500)
  void packingChangesNothing(
      @ForAll @IntRange(min = 1, max = 70) int m,
      @ForAll @IntRange(min = 1, max = 70) int n,
      @ForAll @IntRange(min = 1, max = 150) int k,
      @ForAll("layouts") Layout a,
      @ForAll("layouts") Layout b,
      @ForAll boolean accumulate,
      @ForAll long seed) {
    MatmulDescription description =
        new MatmulDescription(
            a.matrix(ElementType.F32, 1, m, k),
            b.matrix(ElementType.F32, 1, k, n),
            Matrix.of(ElementType.F32, m, n),
            accumulate,
            true,
            MathMode.STRICT);
    check(description, seed);
  }

  private static void check(MatmulDescription description, long seed) {
    try (Arena arena = Arena.ofConfined();
        OneDnn oneDnn = OneDnn.open(TestMatrices.CACHE);
        OneDnnStream stream = oneDnn.newStream()) {
      oneDnn.useThreads(1);
      TestMatrices matrices = new TestMatrices(description, arena, seed);
      float[] expected = matrices.expected();
      try (MatmulPrimitive matmul = oneDnn.matmul(description);
          MatmulPrimitive.Execution execution = matmul.newExecution(stream)) {
        long b = matrices.b.address();
        if (description.packedB()) {
          b = arena.allocate(matmul.packedBytes(), 64).address();
          try (MatmulPrimitive.Packing packing = matmul.newPacking(stream)) {
            packing.pack(matrices.b.address(), b);
          }
        }
        long scratchpad = arena.allocate(Math.max(1, matmul.scratchpadBytes()), 64).address();
        execution.execute(matrices.a.address(), b, matrices.c.address(), scratchpad);
      }
      assertThat(matrices.memoryOfC()).as("%s", description).isEqualTo(expected);
    }
  }
}
