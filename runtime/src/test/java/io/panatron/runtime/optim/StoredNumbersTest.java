package io.panatron.runtime.optim;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.tensor.HostTransfer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@NullMarked
class StoredNumbersTest {

  /** All bit patterns, against the backend that reads them when it computes. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"BF16", "F16", "F8_E4M3"})
  void everyNumberIsWidenedAsTheBackendDoes(DType dtype) {
    int count = 1 << 8 * dtype.bytes();
    try (Backend backend = Backends.reference();
        MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
        MemoryScope scope = pool.scope("numbers", false);
        Arena arena = Arena.ofConfined()) {
      MemorySegment stored = arena.allocate((long) count * dtype.bytes(), Long.BYTES);
      for (int i = 0; i < count; i++) {
        if (dtype.bytes() == 1) {
          stored.set(ValueLayout.JAVA_BYTE, i, (byte) i);
        } else {
          stored.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) i);
        }
      }
      Tensor narrow = scope.allocate("narrow", dtype, count);
      Tensor wide = scope.allocate("wide", DType.F32, count);
      backend.device().upload(stored, narrow);
      backend.copy(narrow, wide);
      double[] expected = HostTransfer.download(backend.device(), wide);
      for (int i = 0; i < count; i++) {
        assertThat((double) StoredNumbers.widen(dtype, stored, i))
            .isEqualTo(Double.valueOf(expected[i]));
      }
    }
  }
}
