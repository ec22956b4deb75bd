package io.panatron.tests.parity;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.backends.Backends;
import java.util.List;

/** The cpu backend, on more threads than one so that the division of work is tested too. */
final class CpuParityTest extends BackendParity {
  @Override
  Backend open() {
    return Backends.cpu(2, System.getenv());
  }

  @Override
  List<DType> dtypes() {
    return List.of(DType.F32, DType.BF16, DType.F16);
  }
}
