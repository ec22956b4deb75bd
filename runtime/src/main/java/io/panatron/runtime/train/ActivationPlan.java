package io.panatron.runtime.train;

import io.panatron.kernels.AccountingBackend;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.TensorParallel;
import java.util.Arrays;

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
    return of(config, dtype, recompute, TensorParallel.NONE, sequenceStarts);
  }

  /** As below, of language modelling. */
  public static ActivationPlan of(
      ModelConfig config,
      DType dtype,
      RecomputePlan recompute,
      TensorParallel parallel,
      int[] sequenceStarts) {
    return of(
        config,
        dtype,
        recompute,
        parallel,
        sequenceStarts,
        new TokenObjective(TokenLoss.CROSS_ENTROPY, true));
  }

  /**
   * As above, of one rank among those that share the model's matrices.
   *
   * @param parallel as {@link TensorParallel#planned} makes it
   */
  static ActivationPlan of(
      ModelConfig config,
      DType dtype,
      RecomputePlan recompute,
      TensorParallel parallel,
      int[] sequenceStarts,
      Objective objective) {
    int[] starts = filledTo(parallel.tokenMultiple(), sequenceStarts);
    try (Backend backend = new AccountingBackend();
        MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
        MemoryScope run = pool.scope("run", false);
        MemoryScope scope = pool.scope("micro-batch", false)) {
      ParameterStore store =
          new ParameterStore(backend, run, ModelBuilder.specs(config, parallel), dtype, true);
      TransformerModel model =
          ModelBuilder.build(
                  config,
                  store,
                  ModelBuilder.rotary(backend.device(), run, config, 1, dtype.accumulator()),
                  parallel)
              .recomputing(recompute);
      long tokens = starts[starts.length - 1];
      Tensor ids = scope.allocate("ids", DType.I32, tokens);
      Tensor positions = scope.allocate("positions", DType.I32, tokens);
      Tensor labels = scope.allocate("labels", DType.I32, tokens);
      Tape tape = Tape.recording(backend, scope);
      objective.rehearse(tape, model, ids, positions, labels, starts);
      long kept = scope.currentBytes();
      tape.backward();
      return new ActivationPlan(kept, scope.peakBytes());
    }
  }

  /** The starts of {@link MicroBatch#filledTo}. */
  private static int[] filledTo(int multiple, int[] starts) {
    int tokens = starts[starts.length - 1];
    int missing = Math.floorMod(-tokens, multiple);
    if (missing == 0) {
      return starts;
    }
    int[] filled = Arrays.copyOf(starts, starts.length + 1);
    filled[starts.length] = tokens + missing;
    return filled;
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
