package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import java.util.ArrayList;
import java.util.List;

/**
 * The feed-forward network: {@code down(silu(gate x) * up x)}, or {@code down(f(up x))}.
 *
 * @param gateUp weight [2 ffn, hidden]: gate rows, then up rows; without a gate [ffn, hidden]
 * @param activation of a kind that fits the rows of {@code gateUp}
 * @param down weight [hidden, ffn]
 * @param parallel how ranks share the ffn columns
 */
public record MlpBlock(
    LinearLayer gateUp, MlpActivation activation, LinearLayer down, TensorParallel parallel) {

  /**
   * x: [tokens, hidden], taken over; returns [tokens, hidden].
   *
   * @param dropout what adapters drop
   */
  public Tensor forward(Tape tape, Tensor x, DropoutPlan dropout) {
    Tensor wide = parallel.enter(tape, x, all -> gateUp.forward(tape, all, dropout));
    return parallel.leave(tape, down.forward(tape, activation.forward(tape, wide), dropout));
  }

  List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(gateUp.parameters());
    parameters.addAll(down.parameters());
    return parameters;
  }
}
