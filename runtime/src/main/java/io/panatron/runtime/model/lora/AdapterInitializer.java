package io.panatron.runtime.model.lora;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.function.Function;
import java.util.random.RandomGenerator;

/**
 * Random weights for new adapters: A uniform within {@code 1 / sqrt(in)}, B 0; of an embedding A 0
 * and B normal. What an adapter adds is 0 at first.
 *
 * <p>Source: PEFT's {@code reset_lora_parameters}, where A is drawn by {@code
 * kaiming_uniform_(a=sqrt(5))}.
 */
public final class AdapterInitializer {
  private final Backend backend;
  private final Function<String, RandomGenerator> streams;

  /**
   * @param streams random numbers that belong to a parameter's name
   */
  public AdapterInitializer(Backend backend, Function<String, RandomGenerator> streams) {
    this.backend = backend;
    this.streams = streams;
  }

  /** Overwrites the adapters' parameters; a store begins with zeros. */
  public void initialize(AdapterPlan plan, ParameterStore store, MemoryScope scratch) {
    for (AdaptedModule module : plan.modules()) {
      if (module.embedding()) {
        RandomGenerator random = streams.apply(module.upName());
        draw(store.parameter(module.upName()).value(), random::nextGaussian, scratch);
      } else {
        RandomGenerator random = streams.apply(module.downName());
        double bound = 1 / Math.sqrt(module.in());
        draw(
            store.parameter(module.downName()).value(),
            () -> bound * (2 * random.nextDouble() - 1),
            scratch);
      }
    }
  }

  private void draw(Tensor target, Draw draw, MemoryScope scratch) {
    double[] values = new double[Math.toIntExact(target.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = draw.next();
    }
    Tensor drawn =
        HostTransfer.upload(
            backend.device(), scratch, "initial adapter", values, target.dtype().accumulator());
    backend.copy(drawn, target.reshape(target.elements()));
    scratch.release(drawn);
  }

  /** One number after another. */
  private interface Draw {
    double next();
  }
}
