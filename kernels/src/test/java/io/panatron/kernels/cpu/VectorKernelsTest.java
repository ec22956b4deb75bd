package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.Activation;
import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.Backend.HeadNorm;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostDevice;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What the parity suite cannot see: the same bits for any number of threads, aliasing, the Java
 * heap.
 */
final class VectorKernelsTest {
  /** Several pieces for each kernel, and a last piece and a last vector that are not full. */
  private static final int TOKENS = 301;

  private static final int WIDTH = 331;
  private static final HeadGeometry HEADS = new HeadGeometry(6, 3, 26);

  private final MemoryPool memory = new MemoryPool(new HostDevice("test"), (bytes, reserved) -> {});
  private MemoryScope scope = memory.scope("test", true);

  @AfterEach
  void close() {
    scope.close();
    memory.close();
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void theBitsAreTheSameForAnyNumberOfThreads(DType dtype) {
    List<byte[]> single = results(dtype, 1);
    assertThat(single).isNotEmpty();
    for (int threads = 2; threads <= 3; threads++) {
      List<byte[]> several = results(dtype, threads);
      assertThat(several).hasSameSizeAs(single);
      for (int i = 0; i < single.size(); i++) {
        assertThat(several.get(i))
            .as("output %s with %s threads", i, threads)
            .isEqualTo(single.get(i));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void outputsMayTakeThePlaceOfInputsWhereTheContractSaysSo(DType dtype) {
    try (WorkerPool pool = new WorkerPool(2, "test", () -> {})) {
      CpuRmsNorm norm = new CpuRmsNorm(pool);
      Tensor weight = random(dtype, 1, WIDTH);
      Tensor rstd = random(DType.F32, 2, TOKENS);
      Tensor y = random(dtype, 2, TOKENS, WIDTH);
      Tensor sum = random(dtype, 2, TOKENS, WIDTH);
      norm.addRmsNormForward(
          random(dtype, 3, TOKENS, WIDTH),
          random(dtype, 4, TOKENS, WIDTH),
          weight,
          1e-6,
          sum,
          y,
          rstd);
      for (boolean overX : new boolean[] {true, false}) {
        Tensor x = random(dtype, 3, TOKENS, WIDTH);
        Tensor delta = random(dtype, 4, TOKENS, WIDTH);
        Tensor aliased = random(dtype, 5, TOKENS, WIDTH);
        norm.addRmsNormForward(x, delta, weight, 1e-6, overX ? x : delta, aliased, rstd);
        assertThat(bytes(overX ? x : delta)).isEqualTo(bytes(sum));
        assertThat(bytes(aliased)).isEqualTo(bytes(y));
      }
      Tensor dWeight = random(DType.F32, 7, WIDTH);
      Tensor dx = random(dtype, 8, TOKENS, WIDTH);
      norm.addRmsNormBackward(
          scope,
          sum,
          weight,
          rstd,
          random(dtype, 5, TOKENS, WIDTH),
          random(dtype, 6, TOKENS, WIDTH),
          dx,
          dWeight);
      for (boolean overDy : new boolean[] {true, false}) {
        Tensor dy = random(dtype, 5, TOKENS, WIDTH);
        Tensor dSum = random(dtype, 6, TOKENS, WIDTH);
        norm.addRmsNormBackward(
            scope, sum, weight, rstd, dy, dSum, overDy ? dy : dSum, random(DType.F32, 7, WIDTH));
        assertThat(bytes(overDy ? dy : dSum)).isEqualTo(bytes(dx));
      }
      CpuSwiglu swiglu = new CpuSwiglu(pool);
      Tensor gateUp = random(dtype, 1, TOKENS, 2 * WIDTH);
      Tensor dGateUp = random(dtype, 2, TOKENS, 2 * WIDTH);
      swiglu.swigluBackward(gateUp, y, dGateUp);
      swiglu.swigluBackward(gateUp, y, gateUp);
      assertThat(bytes(gateUp)).isEqualTo(bytes(dGateUp));
    }
  }

  @Test
  void theSumOfSquaresIsFiniteIfAndOnlyIfAllElementsAre() {
    try (WorkerPool pool = new WorkerPool(2, "test", () -> {})) {
      CpuReduction reduction = new CpuReduction(pool);
      Tensor x = random(DType.F32, 1, 100_003);
      MemorySegment elements = HostMemory.of(x);
      for (long i = 0; i < x.elements(); i++) {
        elements.set(ValueLayout.JAVA_FLOAT, 4 * i, Float.MAX_VALUE);
      }
      double square = (double) Float.MAX_VALUE * Float.MAX_VALUE;
      assertThat(reduction.sumOfSquares(x) / square / x.elements()).isBetween(1 - 1e-12, 1 + 1e-12);
      for (long at : new long[] {0, 32_768, 99_999, 100_002}) {
        for (float bad :
            new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
          elements.set(ValueLayout.JAVA_FLOAT, 4 * at, bad);
          assertThat(Double.isFinite(reduction.sumOfSquares(x))).isFalse();
          elements.set(ValueLayout.JAVA_FLOAT, 4 * at, 0);
        }
      }
    }
  }

  @Test
  void anIdOrPositionOutsideItsTableIsNamed() {
    try (WorkerPool pool = new WorkerPool(2, "test", () -> {})) {
      Tensor ids = integers(TOKENS, 40);
      HostMemory.of(ids).set(ValueLayout.JAVA_INT, 4 * 7, 40);
      Tensor table = random(DType.F32, 1, 40, WIDTH);
      Tensor y = random(DType.F32, 2, TOKENS, WIDTH);
      assertThatThrownBy(() -> new CpuEmbedding(pool).embeddingForward(ids, table, y))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("embedding: id 40 of token 7 is outside the table's 40 rows");
      RotaryTable rotary =
          new RotaryTable(random(DType.F32, 3, 40, 13), random(DType.F32, 4, 40, 13));
      Tensor qkv = random(DType.F32, 5, TOKENS, HEADS.fusedColumns());
      Tensor q = random(DType.F32, 6, TOKENS, 6, 26);
      Tensor k = random(DType.F32, 7, TOKENS, 3, 26);
      Tensor v = random(DType.F32, 8, TOKENS, 3, 26);
      assertThatThrownBy(() ->
              new CpuSplitHeads(pool)
                  .splitHeadsForward(qkv, HEADS, ids, rotary, null, q, k, v, null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("splitHeads: position 40 of token 7 is outside the rotary table's 40 rows");
    }
  }

  /** The bytes of every output of every kernel. */
  private List<byte[]> results(DType dtype, int threads) {
    List<Tensor> outputs = new ArrayList<>();
    try (WorkerPool pool = new WorkerPool(threads, "test", () -> {})) {
      kernels(dtype, pool, outputs).forEach(Runnable::run);
      double sum = new CpuReduction(pool).sumOfSquares(random(dtype, 1, 4 * TOKENS, WIDTH));
      List<byte[]> bytes = new ArrayList<>(outputs.stream().map(VectorKernelsTest::bytes).toList());
      bytes.add(Double.toHexString(sum).getBytes(StandardCharsets.US_ASCII));
      return bytes;
    }
  }

  /** One call of each kernel, on tensors that depend on the dtype alone. */
  private List<Runnable> kernels(DType dtype, WorkerPool pool, List<Tensor> outputs) {
    List<Runnable> calls = new ArrayList<>();
    Tensor x = random(dtype, 1, TOKENS, WIDTH);
    Tensor delta = random(dtype, 2, TOKENS, WIDTH);
    Tensor weight = random(dtype, 3, WIDTH);
    Tensor sum = output(outputs, dtype, TOKENS, WIDTH);
    Tensor y = output(outputs, dtype, TOKENS, WIDTH);
    Tensor rstd = output(outputs, DType.F32, TOKENS);
    Tensor dx = output(outputs, dtype, TOKENS, WIDTH);
    Tensor dWeight = output(outputs, DType.F32, WIDTH);
    CpuRmsNorm norm = new CpuRmsNorm(pool);
    calls.add(() -> norm.addRmsNormForward(x, delta, weight, 1e-6, sum, y, rstd));
    calls.add(() -> norm.addRmsNormBackward(scope, sum, weight, rstd, y, delta, dx, dWeight));

    CpuSwiglu swiglu = new CpuSwiglu(pool);
    Tensor gateUp = random(dtype, 4, TOKENS, 2 * WIDTH);
    Tensor activated = output(outputs, dtype, TOKENS, WIDTH);
    Tensor dGateUp = output(outputs, dtype, TOKENS, 2 * WIDTH);
    calls.add(() -> swiglu.swigluForward(gateUp, activated));
    calls.add(() -> swiglu.swigluBackward(gateUp, delta, dGateUp));

    CpuElementwise elementwise = new CpuElementwise(pool);
    Tensor total = output(outputs, DType.F32, TOKENS, WIDTH);
    Tensor half = output(outputs, DType.F16, TOKENS, WIDTH);
    calls.add(() -> elementwise.add(x, total));
    calls.add(() -> elementwise.scale(total, 0.3));
    calls.add(() -> elementwise.copy(total, half));

    CpuEmbedding embedding = new CpuEmbedding(pool);
    Tensor ids = integers(TOKENS, 40);
    Tensor table = random(dtype, 5, 40, WIDTH);
    Tensor embedded = output(outputs, dtype, TOKENS, WIDTH);
    Tensor dTable = output(outputs, DType.F32, 40, WIDTH);
    calls.add(() -> embedding.embeddingForward(ids, table, embedded));
    calls.add(() -> embedding.embeddingBackward(scope, ids, x, dTable));

    CpuOptimizer optimizer = new CpuOptimizer(pool);
    Tensor first = output(outputs, DType.F32, TOKENS, WIDTH);
    Tensor second = output(outputs, DType.F32, TOKENS, WIDTH);
    Tensor model = output(outputs, dtype, TOKENS, WIDTH);
    AdamWStep step = new AdamWStep(1e-3, 0.9, 0.95, 1e-8, 0.1, 0.5, 3);
    SgdStep sgd = new SgdStep(1e-3, 0.9, 0.1, 0.5, 3);
    Tensor gradient = random(DType.F32, 6, TOKENS, WIDTH);
    calls.add(() -> optimizer.adamW(step, total, gradient, first, second, model));
    calls.add(() -> optimizer.sgd(sgd, total, gradient, first, model));
    addLayerNorm(dtype, pool, calls, outputs);
    addHeads(dtype, pool, ids, calls, outputs);
    return calls;
  }

  private void addLayerNorm(
      DType dtype, WorkerPool pool, List<Runnable> calls, List<Tensor> outputs) {
    CpuLayerNorm norm = new CpuLayerNorm(pool);
    Tensor x = random(dtype, 12, TOKENS, WIDTH);
    Tensor delta = random(dtype, 13, TOKENS, WIDTH);
    Tensor weight = random(dtype, 14, WIDTH);
    Tensor bias = random(dtype, 15, WIDTH);
    Tensor sum = output(outputs, dtype, TOKENS, WIDTH);
    Tensor y = output(outputs, dtype, TOKENS, WIDTH);
    Tensor rstd = output(outputs, DType.F32, TOKENS);
    Tensor dx = output(outputs, dtype, TOKENS, WIDTH);
    Tensor dWeight = output(outputs, DType.F32, WIDTH);
    Tensor dBias = output(outputs, DType.F32, WIDTH);
    calls.add(() -> norm.addLayerNormForward(x, delta, weight, bias, 1e-6, sum, y, rstd));
    calls.add(
        () -> norm.addLayerNormBackward(scope, sum, weight, rstd, y, delta, dx, dWeight, dBias));
    CpuActivation activations = new CpuActivation(pool);
    Tensor activated = output(outputs, dtype, TOKENS, WIDTH);
    Tensor slope = output(outputs, dtype, TOKENS, WIDTH);
    calls.add(() -> activations.forward(Activation.GELU_TANH, x, activated));
    calls.add(() -> activations.backward(Activation.GELU_TANH, x, delta, slope));
  }

  private void addHeads(
      DType dtype, WorkerPool pool, Tensor positions, List<Runnable> calls, List<Tensor> outputs) {
    CpuSplitHeads heads = new CpuSplitHeads(pool);
    RotaryTable rotary =
        new RotaryTable(random(DType.F32, 7, 40, 11), random(DType.F32, 8, 40, 11));
    HeadNorm norm = new HeadNorm(random(dtype, 9, 26), random(dtype, 10, 26), 1e-6);
    Tensor qkv = random(dtype, 11, TOKENS, HEADS.fusedColumns());
    Tensor q = output(outputs, dtype, TOKENS, 6, 26);
    Tensor k = output(outputs, dtype, TOKENS, 3, 26);
    Tensor v = output(outputs, dtype, TOKENS, 3, 26);
    Tensor rstd = output(outputs, DType.F32, TOKENS, 9);
    Tensor dqkv = output(outputs, dtype, TOKENS, HEADS.fusedColumns());
    Tensor dq = output(outputs, DType.F32, 26);
    Tensor dk = output(outputs, DType.F32, 26);
    calls.add(() -> heads.splitHeadsForward(qkv, HEADS, positions, rotary, norm, q, k, v, rstd));
    calls.add(() ->
        heads.splitHeadsBackward(
            scope, qkv, HEADS, positions, rotary, norm, rstd, q, k, v, dqkv, dq, dk));
  }

  /** An accumulated or overwritten tensor; it starts with known numbers. */
  private Tensor output(List<Tensor> outputs, DType dtype, long... extents) {
    Tensor tensor = random(dtype, 99, extents);
    outputs.add(tensor);
    return tensor;
  }

  private Tensor random(DType dtype, long seed, long... extents) {
    Tensor tensor = scope.allocate("test", dtype, extents);
    MemorySegment elements = HostMemory.of(tensor);
    Random random = new Random(seed);
    for (long i = 0; i < tensor.elements(); i++) {
      ScalarAccess.write(dtype, elements, i, Math.abs(random.nextGaussian()));
    }
    return tensor;
  }

  private Tensor integers(int count, int bound) {
    Tensor tensor = scope.allocate("test", DType.I32, count);
    Random random = new Random(count);
    for (long i = 0; i < count; i++) {
      HostMemory.of(tensor).set(ValueLayout.JAVA_INT, 4 * i, random.nextInt(bound));
    }
    return tensor;
  }

  private static byte[] bytes(Tensor tensor) {
    return HostMemory.of(tensor).toArray(ValueLayout.JAVA_BYTE);
  }
}
