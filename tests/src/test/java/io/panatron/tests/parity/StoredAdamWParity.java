package io.panatron.tests.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.DType;
import io.panatron.kernels.StoredTensor;
import io.panatron.kernels.Tensor;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;

/**
 * AdamW on state in narrow storage against plain AdamW in F64, from the same stored numbers: what
 * is left is one rounding to the storage.
 */
final class StoredAdamWParity {
  private static final List<AdamWStep> STEPS =
      List.of(
          new AdamWStep(1e-2, 0.9, 0.999, 1e-3, 0.1, 1, 1),
          new AdamWStep(3e-2, 0.85, 0.95, 1e-2, 0, 0.37, 7));

  /** Storage of parameter, gradient and moments. */
  private record Storage(DType parameter, DType gradient, DType first, DType second) {}

  private StoredAdamWParity() {}

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (int count : new int[] {1, 17, 1031, 40_003}) {
      for (Storage storage : storages(dtype)) {
        for (AdamWStep step : STEPS) {
          String inputs = count + " " + storage + " step " + step.step();
          cases.add(
              new ParityCase("adamWStored", inputs, dtype, p -> run(p, step, storage, count)));
        }
      }
    }
    return cases;
  }

  private static List<Storage> storages(DType dtype) {
    List<Storage> storages = new ArrayList<>();
    List<DType> moments = List.of(DType.F32, DType.BF16, DType.F16, DType.F8_E4M3);
    for (DType moment : moments) {
      storages.add(new Storage(DType.F32, DType.F32, moment, moment));
      storages.add(new Storage(DType.F16, DType.BF16, DType.F32, moment));
      if (dtype == DType.BF16) {
        storages.add(new Storage(DType.I16, DType.BF16, moment, DType.F32));
      }
    }
    storages.add(new Storage(DType.F16, DType.F32, DType.F8_E4M3, DType.F16));
    return storages;
  }

  private static void run(Parity p, AdamWStep step, Storage storage, int count) {
    boolean first = step.step() == 1;
    Pair gradient = p.input(storage.gradient(), p.normal(1, count), count);
    State m = State.of(p, storage.first(), p.normal(first ? 0 : 1, count));
    State v = State.of(p, storage.second(), squares(p.normal(first ? 0 : 1, count)));
    Tensor model = p.tested().empty(p.compute(), count);
    State parameter =
        storage.parameter() == DType.I16
            ? State.remainders(p, p.normal(1, count), model)
            : State.of(p, storage.parameter(), p.normal(1, count));
    Tensor[] plain = new Tensor[3];
    State[] states = {parameter, m, v};
    for (int i = 0; i < 3; i++) {
      plain[i] = p.reference().tensor(DType.F64, states[i].initial, count);
    }
    p.reference().backend().adamW(step, plain[0], gradient.reference(), plain[1], plain[2], null);
    p.tested()
        .backend()
        .adamWStored(step, parameter.stored, gradient.tested(), m.stored, v.stored, model);
    m.compare(p, "firstMoment", p.reference().read(plain[1]), model);
    v.compare(p, "secondMoment", p.reference().read(plain[2]), model);
    double[] expected = p.reference().read(plain[0]);
    parameter.compare(p, "parameter", expected, model);
    double[] rounded = p.tested().read(model);
    for (int i = 0; i < count; i++) {
      double allowed = (unit(p.compute()) + 1e-5) * Math.abs(expected[i]) + 1e-6;
      assertThat(rounded[i]).as("model %s", i).isCloseTo(expected[i], within(allowed));
    }
  }

  /**
   * Numbers of the tested side.
   *
   * @param initial what the storage holds at first
   */
  private record State(StoredTensor stored, double[] initial) {
    static State of(Parity p, DType dtype, double[] numbers) {
      if (!StoredTensor.isScaled(dtype)) {
        double[] rounded = Rounding.round(dtype, numbers);
        Tensor values = p.tested().tensor(dtype, rounded, numbers.length);
        return new State(StoredTensor.of(values), rounded);
      }
      float scale = StoredTensor.scale(dtype, (float) Parity.largest(numbers));
      double[] scaled = new double[numbers.length];
      double[] initial = new double[numbers.length];
      for (int i = 0; i < scaled.length; i++) {
        scaled[i] = Rounding.round(dtype, scale == 0 ? 0 : numbers[i] / scale);
        initial[i] = scaled[i] * scale;
      }
      Tensor values = p.tested().tensor(dtype, scaled, numbers.length);
      Tensor factor = p.tested().tensor(DType.F32, new double[] {scale}, 1);
      return new State(new StoredTensor(values, factor), initial);
    }

    /** The model gets the upper halves. */
    static State remainders(Parity p, double[] numbers, Tensor model) {
      double[] initial = Rounding.round(DType.F32, numbers);
      double[] lower = new double[initial.length];
      double[] upper = new double[initial.length];
      for (int i = 0; i < initial.length; i++) {
        int bits = Float.floatToRawIntBits((float) initial[i]);
        lower[i] = (short) bits;
        upper[i] = Float.intBitsToFloat(bits - (short) bits);
      }
      p.tested().write(model, upper);
      Tensor values = p.tested().tensor(DType.I16, lower, initial.length);
      return new State(StoredTensor.of(values), initial);
    }

    void compare(Parity p, String name, double[] expected, Tensor model) {
      DType dtype = stored.values().dtype();
      double[] actual = p.tested().read(stored.values());
      double scale = 1;
      Tensor factor = stored.scale();
      if (factor != null) {
        scale = p.tested().read(factor)[0];
        double wanted = Parity.largest(expected) / StoredTensor.largest(dtype);
        assertThat(scale).as(name + " scale").isCloseTo(wanted, within(1e-5 * wanted));
      }
      double[] upper = p.tested().read(model);
      double least = dtype == DType.F8_E4M3 ? 0x1p-10 : dtype == DType.F16 ? 0x1p-25 : 0;
      for (int i = 0; i < actual.length; i++) {
        double number = actual[i] * scale;
        if (dtype == DType.I16) {
          int bits = Float.floatToRawIntBits((float) upper[i]) + (int) actual[i];
          number = Float.intBitsToFloat(bits);
        }
        double allowed = (unit(dtype) + 1e-5) * Math.abs(expected[i]) + 1.01 * least * scale + 1e-6;
        assertThat(number).as("%s %s", name, i).isCloseTo(expected[i], within(allowed));
      }
    }
  }

  /** The unit roundoff of a storage. */
  private static double unit(DType dtype) {
    return switch (dtype) {
      case F64, I32 -> 0;
      case F32, I16 -> 0x1p-24;
      case BF16 -> 0x1p-8;
      case F16 -> 0x1p-11;
      case F8_E4M3 -> 0x1p-4;
    };
  }

  private static double[] squares(double[] values) {
    double[] squares = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      squares[i] = values[i] * values[i];
    }
    return squares;
  }
}
