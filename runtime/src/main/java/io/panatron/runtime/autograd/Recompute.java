package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;
import java.util.List;

/**
 * A segment of the forward pass that keeps its input alone: backward runs it a second time, on a
 * tape of its own, and that tape backward. Megatron-Core calls it checkpointing.
 *
 * <p>Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", section 4.
 *
 * @param input saved
 * @param outputs known by their handles only; whoever uses them holds them
 */
public record Recompute(Segment segment, Tensor input, List<Tensor> outputs) implements Op {

  /**
   * A part of a forward pass as a function of one tensor.
   *
   * <p>Both runs must give the same bits. What the segment reads besides its input (weights,
   * positions, tables) must stay as it is until backward, and random numbers must follow from a
   * counter that the segment carries along, never from a generator that the first run has moved on:
   * only then does dropout drop the same elements again.
   */
  @FunctionalInterface
  public interface Segment {
    /**
     * Takes over {@code input}, records on {@code tape}, and returns what the caller then owns; a
     * gradient must reach every output.
     */
    List<Tensor> run(Tape tape, Tensor input);
  }

  public Recompute {
    outputs = List.copyOf(outputs);
  }

  /** Runs the segment; a tape that does not record runs it as if it stood there by itself. */
  public static List<Tensor> forward(Tape tape, Tensor input, Segment segment) {
    if (!tape.isRecording()) {
      return segment.run(tape, input);
    }
    Tape first = Tape.noting(tape.backend(), tape.scope());
    if (tape.isConstant(input)) {
      first.markConstant(input);
    }
    List<Tensor> outputs = segment.run(first, tape.retain(input));
    outputs.stream().filter(first::isConstant).forEach(tape::markConstant);
    if (outputs.stream().allMatch(first::isConstant)) {
      tape.release(input);
    } else {
      tape.record(new Recompute(segment, input, outputs));
    }
    return outputs;
  }

  @Override
  public void backward(Tape tape) {
    Tape again = Tape.rebuilding(tape);
    if (tape.isConstant(input)) {
      again.markConstant(input);
    }
    List<Tensor> rebuilt = segment.run(again, input);
    again.skipDeferred();
    for (int i = 0; i < outputs.size(); i++) {
      again.release(rebuilt.get(i));
      if (!tape.isConstant(outputs.get(i))) {
        again.giveGradient(rebuilt.get(i), tape.takeGradient(outputs.get(i)));
      }
    }
    if (tape.isConstant(input)) {
      again.backward();
    } else {
      tape.giveGradient(input, again.backward(input));
    }
  }
}
