package io.panatron.kernels.reference;

import io.panatron.kernels.Tensor;
import java.util.Arrays;

/** Filling, copying, adding, scaling and the sum of squares. */
final class ReferenceElementwise {
  private ReferenceElementwise() {}

  static void fill(Tensor x, double value) {
    double[] values = new double[Math.toIntExact(x.elements())];
    Arrays.fill(values, value);
    ReferenceArray.write(values, x);
  }

  static void copy(Tensor from, Tensor to) {
    ReferenceArray.write(ReferenceArray.read(from), to);
  }

  static void add(Tensor x, Tensor into) {
    ReferenceArray.accumulate(ReferenceArray.read(x), into);
  }

  static void scale(Tensor x, double factor) {
    double[] values = ReferenceArray.read(x);
    for (int i = 0; i < values.length; i++) {
      values[i] *= factor;
    }
    ReferenceArray.write(values, x);
  }

  static double sumOfSquares(Tensor x) {
    double[] values = ReferenceArray.read(x);
    return ReferenceArray.dot(values, 0, values, 0, values.length);
  }
}
