package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Adapter;
import io.panatron.runtime.autograd.Linear;
import io.panatron.runtime.autograd.LoraLinear;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x weight^T + bias}, and what an adapter adds to it; weight: [out, in], bias: [out] or
 * none.
 */
public record LinearLayer(Parameter weight, @Nullable Parameter bias, @Nullable Lora lora) {

  /** An adapter and its place, from which its dropout follows. */
  public record Lora(Adapter adapter, LoraPlace place) {}

  /** A layer without an adapter. */
  public LinearLayer(Parameter weight, @Nullable Parameter bias) {
    this(weight, bias, null);
  }

  /**
   * x: [tokens, in], taken over; returns [tokens, out].
   *
   * @param dropout what an adapter drops of x
   */
  public Tensor forward(Tape tape, Tensor x, DropoutPlan dropout) {
    return lora == null
        ? Linear.forward(tape, x, weight, bias)
        : LoraLinear.forward(tape, x, weight, bias, lora.adapter, dropout.adapter(lora.place));
  }

  List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(List.of(weight));
    if (bias != null) {
      parameters.add(bias);
    }
    if (lora != null) {
      parameters.add(lora.adapter.down());
      parameters.add(lora.adapter.up());
    }
    return parameters;
  }
}
