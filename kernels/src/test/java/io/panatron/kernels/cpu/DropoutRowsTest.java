package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.reference.ReferenceBackend;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The vectors of the cpu drop what the reference, word by word, drops. */
class DropoutRowsTest {
  @ParameterizedTest
  @CsvSource({
    "0.1, 42, 1, 0, 0, 0, 0, 128",
    "0.5, -1, 2147483647, -1, 2147483647, 63, 1, 65",
    "0.999, 123456789012345, -5, 7, 19, 200, 513, 300",
    "1e-9, 0, 0, 0, 0, 17, 2, 1",
    "0.25, 9223372036854775807, 3, 1, 2, 5, 47, 16"
  })
  void factorsAreThoseOfTheReference(
      double probability,
      long seed,
      int step,
      int microBatch,
      int site,
      int row,
      int first,
      int count) {
    // The reference's rows of a matrix are whole, so the columns are cut out of a longer one.
    DropoutMask mask = new DropoutMask(probability, seed, step, microBatch, site, 0);
    try (CpuFixture f = new CpuFixture(1);
        ReferenceBackend reference = new ReferenceBackend()) {
      Tensor ones = f.scope().allocate("ones", DType.F32, row + 1, first + count);
      reference.fill(ones, 1);
      reference.dropout(ones, mask, ones);
      float[] expected = f.read(ones.slice(row, 1));

      float[] factors = new float[DropoutRows.room(count)];
      int offset = DropoutRows.factors(mask, row, 0, first, count, factors);

      assertThat(Arrays.copyOfRange(factors, offset, offset + count))
          .isEqualTo(Arrays.copyOfRange(expected, first, first + count));
    }
  }

  @ParameterizedTest
  @CsvSource({"3, 2", "0, 5"})
  void aRankWithTheLastHeadsSeesTheirPartOfTheWholeMask(int firstHead, int head) {
    DropoutMask whole = new DropoutMask(0.5, 42, 1, 0, 3, 0);
    DropoutMask part = new DropoutMask(0.5, 42, 1, 0, 3, firstHead);
    float[] expected = new float[DropoutRows.room(64)];
    float[] actual = new float[DropoutRows.room(64)];

    DropoutRows.factors(whole, 9, firstHead + head, 0, 64, expected);
    DropoutRows.factors(part, 9, head, 0, 64, actual);

    assertThat(actual).isEqualTo(expected);
    DropoutRows.factors(whole, 9, firstHead + head + 1, 0, 64, actual);
    assertThat(actual).isNotEqualTo(expected);
  }
}
