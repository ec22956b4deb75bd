package io.panatron.kernels.reference;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.DType;
import io.panatron.kernels.StoredTensor;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** The update that {@link AdamWStep} states, on state that {@link StoredTensor} describes. */
final class ReferenceStoredAdamW {
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  private ReferenceStoredAdamW() {}

  static void adamW(
      AdamWStep step,
      StoredTensor parameter,
      Tensor gradient,
      StoredTensor firstMoment,
      StoredTensor secondMoment,
      @Nullable Tensor model) {
    double[] p = read(parameter, model);
    double[] grad = ReferenceArray.read(gradient);
    double[] m = read(firstMoment, null);
    double[] v = read(secondMoment, null);
    ReferenceOptimizer.update(step, p, grad, m, v);
    write(m, firstMoment, null);
    write(v, secondMoment, null);
    if (model != null && parameter.values().dtype() != DType.I16) {
      // The model is the number before it is stored; in F32 that is the same.
      for (int i = 0; i < p.length; i++) {
        p[i] = (float) p[i];
      }
      ReferenceArray.write(p, model);
    }
    write(p, parameter, model);
  }

  private static double[] read(StoredTensor stored, @Nullable Tensor model) {
    Tensor values = stored.values();
    if (values.dtype() == DType.I16 && model != null) {
      return join(values, model);
    }
    double[] numbers = ReferenceArray.read(values);
    Tensor scale = stored.scale();
    if (scale != null) {
      double factor = ReferenceArray.read(scale)[0];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] *= factor;
      }
    }
    return numbers;
  }

  private static void write(double[] numbers, StoredTensor stored, @Nullable Tensor model) {
    Tensor values = stored.values();
    if (values.dtype() == DType.I16 && model != null) {
      split(numbers, values, model);
      return;
    }
    Tensor scale = stored.scale();
    if (scale == null) {
      ReferenceArray.write(numbers, values);
      return;
    }
    double largest = 0;
    for (double number : numbers) {
      largest = Math.max(largest, Math.abs(number));
    }
    float chosen = (float) (largest / StoredTensor.largest(values.dtype()));
    double[] scaled = new double[numbers.length];
    for (int i = 0; i < scaled.length; i++) {
      scaled[i] = chosen > 0 ? numbers[i] / chosen : 0;
    }
    ReferenceArray.write(scaled, values);
    ReferenceArray.write(new double[] {chosen}, scale);
  }

  private static double[] join(Tensor lower, Tensor upper) {
    MemorySegment low = HostMemory.of(lower);
    MemorySegment high = HostMemory.of(upper);
    double[] numbers = new double[Math.toIntExact(lower.elements())];
    for (int i = 0; i < numbers.length; i++) {
      int remainder = low.get(SHORT, 2L * i);
      int top = high.get(SHORT, 2L * i) & 0xFFFF;
      if (remainder < 0) {
        top--; // it was rounded up
      }
      numbers[i] = Float.intBitsToFloat(top << 16 | (remainder & 0xFFFF));
    }
    return numbers;
  }

  private static void split(double[] numbers, Tensor lower, Tensor upper) {
    MemorySegment low = HostMemory.of(lower);
    MemorySegment high = HostMemory.of(upper);
    for (int i = 0; i < numbers.length; i++) {
      int bits = Float.floatToRawIntBits((float) numbers[i]);
      short remainder = (short) bits;
      low.set(SHORT, 2L * i, remainder);
      high.set(SHORT, 2L * i, (short) ((bits >>> 16) + (remainder < 0 ? 1 : 0)));
    }
  }
}
