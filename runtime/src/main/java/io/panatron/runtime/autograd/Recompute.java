package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;

/**
 * A segment of the forward pass that keeps its input alone: backward runs it a second time, on a
 * tape of its own, and that tape backward. Megatron-Core calls it checkpointing.
 *
 * <p>Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", section 4.
 *
 * @param input saved
 * @param output known by its handle only; whoever uses it holds it
 */
public record Recompute(Segment segment, Tensor input, Tensor output) implements Op {

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
    /** Takes over {@code input}, records on {@code tape}, returns what the caller then owns. */
    Tensor run(Tape tape, Tensor input);
  }

  /** Runs the segment; a tape that does not record runs it as if it stood there by itself. */
  public static Tensor forward(Tape tape, Tensor input, Segment segment) {
    if (!tape.isRecording()) {
      return segment.run(tape, input);
    }
    Tape unrecorded = Tape.inference(tape.backend(), tape.scope());
    Tensor output = segment.run(unrecorded, tape.retain(input));
    tape.record(new Recompute(segment, input, output));
    return output;
  }

  @Override
  public void backward(Tape tape) {
    Tensor gradient = tape.takeGradient(output);
    Tape again = Tape.recording(tape.backend(), tape.scope());
    Tensor result = segment.run(again, input);
    again.release(result);
    again.giveGradient(result, gradient);
    tape.giveGradient(input, again.backward(input));
  }
}
