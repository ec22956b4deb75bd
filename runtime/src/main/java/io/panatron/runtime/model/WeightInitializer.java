package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.TensorParallel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
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

  /** Overwrites every parameter of the store; {@code scratch} lends the staging tensor. */
  public void initialize(ParameterStore store, MemoryScope scratch) {
    initialize(store.all(), scratch);
  }

  /** Overwrites one parameter. */
  void initialize(Parameter parameter, MemoryScope scratch) {
    initialize(List.of(parameter), scratch);
  }

  private void initialize(List<Parameter> parameters, MemoryScope scratch) {
    Tensor staging = scratch.allocate("initial weights", DType.F32, CHUNK);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate((long) CHUNK * Float.BYTES, Float.BYTES);
      for (Parameter parameter : parameters) {
        initialize(parameter, staging, host);
      }
    } finally {
      scratch.release(staging);
    }
  }

  /** As above, of one rank among those that share the matrices: its part of the same numbers. */
  public void initialize(ParameterStore store, TensorParallel parallel, MemoryScope scratch) {
    if (parallel.size() == 1) {
      initialize(store, scratch);
      return;
    }
    for (ParameterShard shard : ParameterShard.of(config, parallel)) {
      Parameter parameter = store.parameter(shard.layout().name());
      if (parameter.shape().rank() == 1) {
        fill(parameter);
      } else {
        initialize(parameter, shard, scratch);
      }
    }
  }

  /** Draws the whole matrix, some rows at a time, and keeps what belongs to the shard. */
  private void initialize(Parameter parameter, ParameterShard shard, MemoryScope scratch) {
    RandomGenerator random = stream(parameter.name());
    double deviation = deviation(parameter.name());
    long width = shard.layout().columns();
    TensorSplit.Range columns = shard.columns();
    int step = Math.toIntExact(Math.clamp(CHUNK / width, 1, shard.layout().rows()));
    Tensor staging = scratch.allocate("initial weights", DType.F32, step * columns.count());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment drawn = arena.allocate(step * width * Float.BYTES, 8);
      MemorySegment kept = arena.allocate(staging.bytes(), 8);
      for (long start = 0; start < shard.layout().rows(); start += step) {
        long count = Math.min(step, shard.layout().rows() - start);
        draw(random, deviation, drawn, Math.toIntExact(count * width));
        long row = 0;
        for (TensorSplit.Range range : shard.rows()) {
          long first = Math.max(range.first(), start);
          long rows = Math.min(range.first() + range.count(), start + count) - first;
          if (rows > 0) {
            new HostWindow(first - start, rows, columns.first(), columns.count(), width)
                .take(drawn, Float.BYTES, kept);
            Tensor part = staging.slice(0, rows * columns.count());
            backend.device().upload(kept.asSlice(0, part.bytes()), part);
            Tensor into = parameter.value().slice(row + first - range.first(), rows);
            backend.copy(part, into.reshape(into.elements()));
          }
          row += range.count();
        }
      }
    } finally {
      scratch.release(staging);
    }
  }

  private void fill(Parameter vector) {
    backend.fill(vector.value(), vector.name().endsWith(".bias") ? 0 : 1);
  }

  private double deviation(String name) {
    boolean toResidual = name.endsWith("o_proj.weight") || name.endsWith("down_proj.weight");
    double deviation = config.initializerRange();
    return toResidual ? deviation / Math.sqrt(2.0 * config.numLayers()) : deviation;
  }

  private void initialize(Parameter parameter, Tensor staging, MemorySegment host) {
    if (parameter.shape().rank() == 1) {
      fill(parameter);
      return;
    }
    RandomGenerator random = stream(parameter.name());
    double deviation = deviation(parameter.name());
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
