package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;
import java.util.List;

/**
 * Gives up tensors that an operation just recorded has saved, and computes them once more when
 * backward comes by, right before that operation needs them. Megatron-Core calls it
 * output-discarding checkpointing.
 *
 * <p>Unlike {@link Recompute} it computes the outputs alone, so it serves what is cheap to compute
 * from something that is kept anyway.
 *
 * @param outputs each with one holder, the operation that saved it
 * @param producer overwrites all outputs with the bits they had
 */
public record DiscardOutputs(List<Tensor> outputs, Producer producer) implements Op {

  /** Computes the outputs from what later operations of backward still hold. */
  @FunctionalInterface
  public interface Producer {
    void produce(Tape tape);
  }

  public DiscardOutputs {
    outputs = List.copyOf(outputs);
  }

  /**
   * Discards {@code outputs}, whose last use in the forward pass has taken place; does nothing on a
   * tape that does not record, or where that use has released them because it needs no inputs for
   * backward.
   */
  static void forward(Tape tape, List<Tensor> outputs, Producer producer) {
    if (tape.isRecording()) {
      tape.computeDeferred();
      if (!outputs.stream().allMatch(output -> output.buffer().owner().isHeld(output))) {
        return;
      }
      outputs.forEach(output -> output.buffer().owner().evict(output));
      tape.record(new DiscardOutputs(outputs, producer));
    }
  }

  @Override
  public void backward(Tape tape) {
    outputs.forEach(output -> output.buffer().owner().restore(output));
    producer.produce(tape);
  }
}
