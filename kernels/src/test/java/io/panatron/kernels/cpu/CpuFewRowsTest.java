package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CpuFewRowsTest {
  private static final int IN = 520;
  private static final int OUT = 530;
  private static final int MORE = 72;

  /** What batch-invariant generation stands on: its steps have multiples of 24 rows. */
  @ParameterizedTest
  @CsvSource({"24, F32", "48, F32", "24, BF16", "48, BF16", "24, F16", "48, F16"})
  void multiplesOf24RowsHaveTheBitsThatTheyHaveAmongMore(int rows, DType dtype) {
    assertThat(rows).isLessThanOrEqualTo(CpuFewRows.MOST_ROWS);
    assertThat(MORE).isGreaterThan(CpuFewRows.MOST_ROWS);
    try (CpuFixture f = new CpuFixture(2)) {
      Tensor x = f.normal(dtype, 1, MORE, IN);
      Tensor weight = f.normal(dtype, 0.1, OUT, IN);
      Tensor few = f.scope().allocate("few", DType.F32, rows, OUT);
      Tensor more = f.scope().allocate("more", DType.F32, MORE, OUT);
      CpuLinear linear = new CpuLinear(f.workers());
      linear.forward(f.scope(), x.slice(0, rows), weight, null, few);
      linear.forward(f.scope(), x, weight, null, more);
      float[] expected = Arrays.copyOf(f.read(more), rows * OUT);
      assertThat(Arrays.mismatch(f.read(few), expected)).isEqualTo(-1);
    }
  }
}
