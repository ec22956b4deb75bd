package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Linear;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code y = x weight^T + bias}; weight: [out, in], bias: [out] or none. */
public record LinearLayer(Parameter weight, @Nullable Parameter bias) {

  /** x: [tokens, in], taken over; returns [tokens, out]. */
  public Tensor forward(Tape tape, Tensor x) {
    return Linear.forward(tape, x, weight, bias);
  }

  List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(List.of(weight));
    if (bias != null) {
      parameters.add(bias);
    }
    return parameters;
  }
}
