package io.panatron.kernels.reference;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ReferenceArrayTest {
  @ParameterizedTest
  @CsvSource({
    "1, 3F80",
    "-2, C000",
    "0x1.01p0, 3F80",
    "0x1.03p0, 3F82",
    "0x1.0100000001p0, 3F81",
    "0x1.fep127, 7F7F",
    "0x1.ffp127, 7F80",
    "0x1p-133, 0001",
    "0x1p-134, 0000",
    "0x1.8p-133, 0002",
    "0x1.000001p-134, 0001",
    "-0.0, 8000",
    "NaN, 7FC0",
    "-Infinity, FF80"
  })
  void bfloat16RoundsToNearestEven(double value, String bits) {
    assertThat(hex(ReferenceArray.toBfloat16(value))).isEqualTo(bits);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 3C00",
    "0x1.002p0, 3C00",
    "0x1.006p0, 3C02",
    "0x1.00200000001p0, 3C01",
    "65504, 7BFF",
    "65519.99, 7BFF",
    "65520, 7C00",
    "0x1p-24, 0001",
    "0x1p-25, 0000",
    "0x1.8p-24, 0002",
    "-0.0, 8000",
    "Infinity, 7C00"
  })
  void float16RoundsToNearestEven(double value, String bits) {
    assertThat(hex(ReferenceArray.toFloat16(value))).isEqualTo(bits);
  }

  @Property
  void float16OfAFloatIsTheJdkConversion(@ForAll float value) {
    assertThat(ReferenceArray.toFloat16(value)).isEqualTo(Float.floatToFloat16(value));
  }

  private static String hex(short bits) {
    return HexFormat.of().withUpperCase().toHexDigits(bits);
  }
}
