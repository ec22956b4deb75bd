package io.panatron.runtime.nn;

import io.panatron.kernels.Activation;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Activate;
import io.panatron.runtime.autograd.Swiglu;
import io.panatron.runtime.autograd.Tape;

/** What an {@link MlpBlock} does between its two projections. */
public sealed interface MlpActivation {

  /** Takes over the output of the first projection; returns [tokens, ffn]. */
  Tensor forward(Tape tape, Tensor projected);

  /** Whether the first projection has gate rows and up rows, else it has up rows only. */
  boolean gated();

  /** {@code silu(gate) * up}. */
  record Gated() implements MlpActivation {
    @Override
    public Tensor forward(Tape tape, Tensor projected) {
      return Swiglu.forward(tape, projected);
    }

    @Override
    public boolean gated() {
      return true;
    }
  }

  /** {@code function(up)}. */
  record Plain(Activation function) implements MlpActivation {
    @Override
    public Tensor forward(Tape tape, Tensor projected) {
      return Activate.forward(tape, function, projected);
    }

    @Override
    public boolean gated() {
      return false;
    }
  }
}
