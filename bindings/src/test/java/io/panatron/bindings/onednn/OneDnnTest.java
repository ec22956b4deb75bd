package io.panatron.bindings.onednn;

import static io.panatron.bindings.onednn.ElementType.F16;
import static io.panatron.bindings.onednn.ElementType.F32;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.bindings.NativeCallException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class OneDnnTest {
  private static final MatmulDescription PRODUCT =
      MatmulDescription.of(Matrix.of(F32, 33, 17), Matrix.of(F32, 17, 21), Matrix.of(F32, 33, 21));

  private OneDnn oneDnn;
  private OneDnnStream stream;

  @BeforeEach
  void open() {
    oneDnn = OneDnn.open(TestMatrices.CACHE);
    oneDnn.useThreads(1);
    stream = oneDnn.newStream();
  }

  @AfterEach
  void close() {
    stream.close();
    oneDnn.close();
  }

  @Test
  void theLibraryIsOfTheVersionOfTheHeaders() {
    assertThat(oneDnn.version()).startsWith("3.13.");
  }

  @Test
  void threadsAreCountedPerCallingThread() throws Exception {
    oneDnn.useThreads(2);
    assertThat(
            inAnotherThread(() -> {
              oneDnn.useThreads(1);
              return oneDnn.threads();
            }))
        .isEqualTo(1);
    assertThat(oneDnn.threads()).isEqualTo(2);
  }

  @Test
  void threadsMayShareAPrimitive() throws Exception {
    try (MatmulPrimitive matmul = oneDnn.matmul(PRODUCT);
        var pool = Executors.newFixedThreadPool(4)) {
      List<Future<Boolean>> right = new ArrayList<>();
      for (int thread = 0; thread < 4; thread++) {
        long seed = thread;
        right.add(pool.submit(() -> multipliesRight(matmul, seed)));
      }
      for (Future<Boolean> result : right) {
        assertThat(result.get()).isTrue();
      }
    }
  }

  private boolean multipliesRight(MatmulPrimitive matmul, long seed) {
    oneDnn.useThreads(1);
    try (Arena own = Arena.ofConfined();
        OneDnnStream ownStream = oneDnn.newStream();
        MatmulPrimitive.Execution execution = matmul.newExecution(ownStream)) {
      long scratchpad = own.allocate(Math.max(1, matmul.scratchpadBytes()), 64).address();
      for (int i = 0; i < 100; i++) {
        TestMatrices matrices = new TestMatrices(PRODUCT, own, seed * 100 + i);
        float[] expected = matrices.expected();
        execution.execute(
            matrices.a.address(), matrices.b.address(), matrices.c.address(), scratchpad);
        if (!Arrays.equals(matrices.memoryOfC(), expected)) {
          return false;
        }
      }
      return true;
    }
  }

  @Test
  void sgemmEqualsThePlainSum() {
    try (Arena arena = Arena.ofConfined()) {
      for (boolean transposeA : new boolean[] {false, true}) {
        for (boolean transposeB : new boolean[] {false, true}) {
          Matrix a = transposeA ? Matrix.of(F32, 17, 35).transposed() : Matrix.of(F32, 35, 17, 19);
          Matrix b = transposeB ? Matrix.of(F32, 21, 17, 18).transposed() : Matrix.of(F32, 17, 21);
          MatmulDescription product =
              MatmulDescription.of(a, b, Matrix.of(F32, 35, 21, 24)).accumulating();
          TestMatrices matrices = new TestMatrices(product, arena, 7);
          float[] expected = matrices.expected();
          oneDnn.sgemm(
              transposeA,
              transposeB,
              35,
              21,
              17,
              matrices.a.address(),
              Math.max(a.rowStride(), a.columnStride()),
              matrices.b.address(),
              Math.max(b.rowStride(), b.columnStride()),
              1f,
              matrices.c.address(),
              24);
          assertThat(matrices.memoryOfC()).isEqualTo(expected);
        }
      }
    }
  }

  @Test
  void aKernelIsNamedWhereThereIsOne() {
    assertThat(oneDnn.kernel(PRODUCT)).hasValueSatisfying(name -> assertThat(name).isNotBlank());
    Matrix half = Matrix.of(F16, 3, 3);
    assertThat(oneDnn.kernel(MatmulDescription.of(half, Matrix.of(F32, 3, 3), half))).isEmpty();
  }

  @Test
  void aRefusedMultiplicationNamesFunctionSizesStatusAndRemedy() {
    MatmulDescription mixed =
        MatmulDescription.of(Matrix.of(F16, 3, 5), Matrix.of(F32, 5, 7), Matrix.of(F16, 3, 7));
    assertThatThrownBy(() -> oneDnn.matmul(mixed))
        .isInstanceOf(NativeCallException.class)
        .hasMessageContaining("dnnl_matmul_primitive_desc_create(A F16[1, 3, 5]")
        .hasMessageContaining("failed with status 3 (unimplemented); this CPU has no kernel");
  }

  @Test
  void sizesThatDoNotFitAreRefused() {
    Matrix square = Matrix.of(F32, 3, 3);
    assertThatThrownBy(() -> MatmulDescription.of(square, Matrix.of(F32, 4, 3), square))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("do not multiply");
    assertThatThrownBy(() -> Matrix.of(F32, 0, 3)).hasMessageContaining("no elements");
    assertThatThrownBy(() -> new Matrix(F32, 1, 3, 3, 0, 6, 2)).hasMessageContaining("dense");
  }

  @Test
  void anExecutionBelongsToItsThreadAndEndsWithClose() throws Exception {
    try (Arena arena = Arena.ofConfined()) {
      MatmulPrimitive matmul = oneDnn.matmul(PRODUCT);
      MatmulPrimitive.Execution execution = matmul.newExecution(stream);
      TestMatrices m = new TestMatrices(PRODUCT, arena, 1);
      long scratchpad = arena.allocate(Math.max(1, matmul.scratchpadBytes()), 64).address();
      long a = m.a.address();
      long b = m.b.address();
      long c = m.c.address();
      float[] before = m.memoryOfC();
      assertThatThrownBy(() ->
              inAnotherThread(() -> {
                execution.execute(a, b, c, scratchpad);
                return 0;
              }))
          .isInstanceOf(ExecutionException.class)
          .hasCauseInstanceOf(WrongThreadException.class);
      assertThat(m.memoryOfC()).isEqualTo(before);
      assertThatThrownBy(matmul::close).hasMessageContaining("1 open executions");
      execution.close();
      assertThatThrownBy(() -> execution.execute(a, b, c, scratchpad))
          .isInstanceOf(IllegalStateException.class);
      matmul.close();
      assertThatThrownBy(() -> matmul.newExecution(stream)).hasMessageContaining("is closed");
    }
  }

  @Test
  void aPlanForMoreThreadsThanTheCallersIsRefused() {
    oneDnn.useThreads(2);
    try (MatmulPrimitive matmul = oneDnn.matmul(PRODUCT)) {
      oneDnn.useThreads(1);
      assertThatThrownBy(() -> matmul.newExecution(stream))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("planned for 2 OpenMP threads");
    }
  }

  private static <T> T inAnotherThread(Callable<T> task) throws Exception {
    try (var pool = Executors.newSingleThreadExecutor()) {
      return pool.submit(task).get();
    }
  }
}
