package io.panatron.runtime.train;

import io.panatron.kernels.AccountingBackend;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.model.lora.Tuning;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputePlan;

/**
 * The memory that one micro-batch takes besides what lives as long as the run, known before it is
 * allocated: the model's own forward and backward pass, run on a backend that only counts.
 *
 * <p>The scratch memory of kernels comes on top; it does not grow with the number of layers.
 *
 * @param keptBytes what the forward pass leaves for backward
 * @param peakBytes the most at one time
 */
public record ActivationPlan(long keptBytes, long peakBytes) {

  /**
   * The plan of one training pass.
   *
   * @param sequenceStarts where the packed sequences of the micro-batch start, and its end
   */
  public static ActivationPlan of(
      ModelConfig config, DType dtype, RecomputePlan recompute, int[] sequenceStarts) {
    return of(config, dtype, recompute, sequenceStarts, Tuning.FULL);
  }

  /** As above, training what {@code tuning} says. */
  public static ActivationPlan of(
      ModelConfig config,
      DType dtype,
      RecomputePlan recompute,
      int[] sequenceStarts,
      Tuning tuning) {
    try (Backend backend = new AccountingBackend();
        MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
        MemoryScope run = pool.scope("run", false);
        MemoryScope scope = pool.scope("micro-batch", false)) {
      ParameterStore store = new ParameterStore(backend, run, tuning.specs(config), dtype, true);
      TransformerModel model =
          ModelBuilder.build(
                  config,
                  store,
                  ModelBuilder.rotary(backend.device(), run, config, 1, dtype.accumulator()),
                  tuning)
              .recomputing(recompute);
      long tokens = sequenceStarts[sequenceStarts.length - 1];
      Tensor ids = scope.allocate("ids", DType.I32, tokens);
      Tensor positions = scope.allocate("positions", DType.I32, tokens);
      Tensor labels = scope.allocate("labels", DType.I32, tokens);
      Tensor weights = scope.allocate("loss weights", dtype.accumulator(), tokens);
      Tape tape = Tape.recording(backend, scope);
      model.weightedLosses(
          tape, ids, labels, weights, positions, AttentionLayout.packed(sequenceStarts));
      long kept = scope.currentBytes();
      tape.backward();
      return new ActivationPlan(kept, scope.peakBytes());
    }
  }

  /** Where {@code count} sequences of {@code length} tokens start, and where the last one ends. */
  static int[] equalSequences(int count, int length) {
    int[] starts = new int[count + 1];
    for (int s = 1; s <= count; s++) {
      starts[s] = Math.multiplyExact(s, length);
    }
    return starts;
  }
}
