package io.panatron.tests.parity;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;

/** One operation on one set of inputs in one dtype. */
record ParityCase(String operation, String inputs, DType dtype, Check check) {
  /** Runs the operation on both sides and compares. */
  interface Check {
    void run(Parity parity);
  }

  /** Throws {@link AssertionError} where {@code tested} differs from the reference. */
  void run(Backend tested) {
    try (Parity parity = new Parity(tested, dtype, name().hashCode())) {
      check.run(parity);
    }
  }

  String name() {
    return operation + " " + dtype + " " + inputs;
  }
}
