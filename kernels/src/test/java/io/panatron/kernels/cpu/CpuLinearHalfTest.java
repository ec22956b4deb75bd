package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The two ways to multiply BF16 and F16: oneDNN's own products, fast or not, and widening. */
class CpuLinearHalfTest {
  private static final int IN = 24;
  private static final int OUT = 40;

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16"})
  void oneDnnAndWideningAgree(DType dtype) {
    try (CpuFixture oneDnn = multiplying(dtype, 2);
        CpuFixture plain = new CpuFixture(2)) {
      float[][] expected = step(plain, DType.F32, 523);
      float[][] actual = step(oneDnn, dtype, 523);
      Differences.assertClose("y", actual[0], expected[0], Differences.BF16_STORED);
      Differences.assertClose("dx", actual[1], expected[1], Differences.BF16_STORED);
      Differences.assertClose("dWeight", actual[2], expected[2], Differences.BF16_STORED);
      assertThat(compiled(oneDnn)).isPositive();
    }
  }

  @Test
  void aThousandLengthsCompileAtMostTenProductsOfEachKind() {
    // Three products of one weight: token counts in powers of two from 1 to 512 each, and the
    // gradient's
    // steps of 128 tokens.
    int most = 10 + 10 + 8;
    SplittableRandom random = new SplittableRandom(3);
    try (CpuFixture fixture = multiplying(DType.BF16, 1)) {
      CpuLinear linear = new CpuLinear(fixture.workers());
      Tensor x = fixture.normal(DType.BF16, 1, 700, IN);
      Tensor weight = fixture.normal(DType.BF16, 1, OUT, IN);
      Tensor y = fixture.normal(DType.BF16, 1, 700, OUT);
      Tensor dWeight = fixture.normal(DType.F32, 1, OUT, IN);
      for (int i = 0; i < 1000; i++) {
        int tokens = random.nextInt(1, 701);
        MemoryScope scope = fixture.scope();
        linear.forward(scope, x.slice(0, tokens), weight, null, y.slice(0, tokens));
        linear.backwardInput(scope, y.slice(0, tokens), weight, x.slice(0, tokens));
        linear.backwardWeight(scope, x.slice(0, tokens), y.slice(0, tokens), dWeight, null);
      }
      assertThat(compiled(fixture)).isBetween(10, most);
    }
  }

  @Test
  void aCacheKeepsNoMoreProductsThanItsCapacity() {
    try (CpuFixture fixture = multiplying(DType.BF16, 1)) {
      CpuLinear linear = new CpuLinear(fixture.workers());
      Tensor x = fixture.normal(DType.BF16, 1, 1, 8);
      for (int out = 1; out <= PrimitiveCache.CAPACITY + 20; out++) {
        Tensor weight = fixture.normal(DType.BF16, 1, out, 8);
        Tensor y = fixture.scope().allocate("y", DType.F32, 1, out);
        linear.forward(fixture.scope(), x, weight, null, y);
      }
      assertThat(compiled(fixture)).isEqualTo(PrimitiveCache.CAPACITY);
    }
  }

  @Test
  void narrowF32ProductsCompileNothing() {
    try (CpuFixture fixture = new CpuFixture(2)) {
      step(fixture, DType.F32, 523);
      assertThat(compiled(fixture)).isZero();
    }
  }

  /** Skips the test where oneDNN has no kernel of this dtype at all. */
  private static CpuFixture multiplying(DType dtype, int threads) {
    CpuFixture fixture = new CpuFixture(threads, MatmulEngine.HalfProducts.ONEDNN);
    if (!fixture.workers().engine().multiplies(dtype)) {
      fixture.close();
      abort("oneDNN multiplies no " + dtype + " on this processor");
    }
    return fixture;
  }

  private static int compiled(CpuFixture fixture) {
    int sum = 0;
    for (int worker = 0; worker < fixture.workers().threads(); worker++) {
      sum += fixture.workers().engine().compiledProducts(worker);
    }
    return sum;
  }

  private static float[][] step(CpuFixture fixture, DType dtype, int tokens) {
    CpuLinear linear = new CpuLinear(fixture.workers());
    Tensor x = fixture.normal(dtype, 1, tokens, IN);
    Tensor weight = fixture.normal(dtype, 1, OUT, IN);
    Tensor bias = fixture.normal(dtype, 1, OUT);
    Tensor dy = fixture.normal(dtype, 1, tokens, OUT);
    Tensor dWeight = fixture.normal(DType.F32, 1, OUT, IN);
    Tensor y = fixture.scope().allocate("y", dtype, tokens, OUT);
    Tensor dx = fixture.scope().allocate("dx", dtype, tokens, IN);
    linear.forward(fixture.scope(), x, weight, bias, y);
    linear.backwardInput(fixture.scope(), dy, weight, dx);
    linear.backwardWeight(fixture.scope(), x, dy, dWeight, null);
    return new float[][] {fixture.read(y), fixture.read(dx), fixture.read(dWeight)};
  }
}
