package io.panatron.tests.parity;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Conversions between all floating dtypes, which must round to nearest even, bit for bit. */
final class CopyParity {
  private static final List<DType> FLOATING =
      List.of(DType.F64, DType.F32, DType.BF16, DType.F16, DType.F8_E4M3);

  private CopyParity() {}

  /** Copies from {@code dtype} and to it. */
  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (DType other : FLOATING) {
      cases.add(copyCase(dtype, dtype, other));
      if (other != dtype) {
        cases.add(copyCase(dtype, other, dtype));
      }
    }
    return cases;
  }

  private static ParityCase copyCase(DType dtype, DType from, DType to) {
    return new ParityCase("copy", from + " to " + to, dtype, p -> copy(p, from, to));
  }

  private static void copy(Parity p, DType from, DType to) {
    double[] values = Rounding.round(from, numbers(p));
    Tensor source = p.tested().tensor(from, values, values.length);
    Tensor target = p.tested().empty(to, values.length);
    p.tested().backend().copy(source, target);
    double[] actual = p.tested().read(target);
    for (int i = 0; i < values.length; i++) {
      double expected = Rounding.round(to, values[i]);
      assertThat(Double.compare(actual[i], expected))
          .as("%s %a becomes %s %a, here %a", from, values[i], to, expected, actual[i])
          .isZero();
    }
    for (int count : new int[] {1, 3, 7, 17, 33}) {
      Tensor few = p.tested().empty(to, count);
      p.tested().backend().copy(source.slice(5, count), few);
      for (int i = 0; i < count; i++) {
        assertThat(p.tested().read(few)[i]).isEqualTo(Rounding.round(to, values[5 + i]));
      }
    }
    assertThat(p.tested().read(source)).as("source after the copy").isEqualTo(values);
  }

  /**
   * All numbers of 16 bits, the ties between them and what lies beside the ties, and random ones.
   */
  private static double[] numbers(Parity p) {
    List<Double> numbers = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      // The small copies below begin among ordinary numbers.
      numbers.add(1 + i / 3.0);
    }
    for (DType half : List.of(DType.BF16, DType.F16)) {
      IntStream.range(0, 1 << 16)
          .filter(bits -> half == DType.F16 || bits % 5 == 0 || (bits & 0x7F80) == 0)
          .forEach(bits -> {
            double low = Rounding.widen(half, (short) bits);
            double tie = (low + Rounding.widen(half, (short) (bits + 1))) / 2;
            numbers.add(low);
            numbers.add(tie);
            numbers.add((double) Math.nextUp((float) tie));
            numbers.add((double) Math.nextDown((float) tie));
            numbers.add(Math.nextUp(tie));
            numbers.add(Math.nextDown(tie));
          });
    }
    for (int bits = 0; bits < 0x7E; bits++) {
      double low = Rounding.float8Value((byte) bits);
      double tie = (low + Rounding.float8Value((byte) (bits + 1))) / 2;
      numbers.addAll(List.of(low, tie, Math.nextUp(tie), Math.nextDown(tie), -tie));
      numbers.add((double) Math.nextUp((float) tie));
      numbers.add((double) Math.nextDown((float) tie));
    }
    for (int i = 0; i < 20_000; i++) {
      numbers.add((double) Float.intBitsToFloat(p.random().nextInt()));
      numbers.add(p.random().nextGaussian() * Math.scalb(1.0, p.random().nextInt(-30, 30)));
    }
    double[] values = new double[numbers.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = numbers.get(i);
    }
    return values;
  }
}
