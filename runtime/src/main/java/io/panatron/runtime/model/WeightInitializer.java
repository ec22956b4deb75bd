package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.ParameterStore;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * Random weights for a model that has none.
 *
 * <p>Matrices are normal with the configuration's standard deviation; those that write to the
 * residual stream (o_proj, down_proj) have it divided by {@code sqrt(2 layers)}. Norm weights are
 * 1, biases 0. Each parameter draws from its own stream, seeded by the run's seed and its name, so
 * its values depend on nothing else. Source: Megatron-Core, {@code init_method_normal} and {@code
 * scaled_init_method_normal}.
 */
public final class WeightInitializer {
  /** Elements written at a time; bounds the staging memory. */
  private static final int CHUNK = 1 << 20;

  private static final RandomGeneratorFactory<RandomGenerator> GENERATOR =
      RandomGeneratorFactory.of("L64X128MixRandom");

  private final Backend backend;
  private final ModelConfig config;
  private final long seed;

  public WeightInitializer(Backend backend, ModelConfig config, long seed) {
    this.backend = backend;
    this.config = config;
    this.seed = seed;
  }

  /**
   * Overwrites what the store holds of the model's own parameters, not adapters; {@code scratch}
   * lends the staging tensor.
   */
  public void initialize(ParameterStore store, MemoryScope scratch) {
    Tensor staging = scratch.allocate("initial weights", DType.F32, CHUNK);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate((long) CHUNK * Float.BYTES, Float.BYTES);
      for (ParameterLayout layout : ParameterLayout.of(config)) {
        if (store.contains(layout.name())) {
          initialize(store.parameter(layout.name()), staging, host);
        }
      }
    } finally {
      scratch.release(staging);
    }
  }

  private void initialize(Parameter parameter, Tensor staging, MemorySegment host) {
    if (parameter.shape().rank() == 1) {
      backend.fill(parameter.value(), parameter.name().endsWith(".bias") ? 0 : 1);
      return;
    }
    RandomGenerator random = stream(parameter.name());
    double deviation = config.initializerRange();
    if (parameter.name().endsWith("o_proj.weight")
        || parameter.name().endsWith("down_proj.weight")) {
      deviation /= Math.sqrt(2.0 * config.numLayers());
    }
    Tensor flat = parameter.value().reshape(parameter.value().elements());
    for (long first = 0; first < flat.elements(); first += CHUNK) {
      int count = (int) Math.min(CHUNK, flat.elements() - first);
      draw(random, deviation, host, count);
      Tensor chunk = staging.slice(0, count);
      backend.device().upload(host, chunk);
      backend.copy(chunk, flat.slice(first, count));
    }
  }

  /** A method of its own, so that the compiler has it ready for the second chunk. */
  private static void draw(
      RandomGenerator random, double deviation, MemorySegment host, int count) {
    for (int i = 0; i < count; i++) {
      host.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (deviation * random.nextGaussian()));
    }
  }

  /** The random numbers that belong to a name. */
  RandomGenerator stream(String name) {
    return GENERATOR.create(streamSeed(name));
  }

  /**
   * The run's seed and the name's characters, mixed so that similar names get unrelated streams.
   */
  private long streamSeed(String name) {
    long mixed = seed;
    for (int i = 0; i < name.length(); i++) {
      mixed = (mixed ^ name.charAt(i)) * 0x9E3779B97F4A7C15L;
      mixed ^= mixed >>> 32;
    }
    return mixed;
  }
}
