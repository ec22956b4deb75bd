package io.panatron.tests.parity;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.backends.Backends;
import java.util.List;

/**
 * The reference in narrower storage against itself in F64: the tolerances allow for storage alone.
 */
final class ReferenceParityTest extends BackendParity {
  @Override
  Backend open() {
    return Backends.reference();
  }

  @Override
  List<DType> dtypes() {
    return List.of(DType.F32, DType.BF16, DType.F16);
  }
}
