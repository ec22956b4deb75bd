package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.AdapterFiles;
import io.panatron.runtime.checkpoint.ModelWeights;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import io.panatron.runtime.model.lora.AdapterInitializer;
import io.panatron.runtime.model.lora.AdapterPlan;
import io.panatron.runtime.model.lora.Tuning;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.parallel.RankContext;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model on its device: configuration, parameters and the network over them, all in one run scope.
 *
 * @param config what config.json says
 * @param run owns the parameters and everything else that lives as long as the run
 * @param store the parameters
 * @param network the forward pass
 * @param initialized whether the weights were drawn at random, because the folder has none
 */
public record LoadedModel(
    ModelConfig config,
    MemoryScope run,
    ParameterStore store,
    TransformerModel network,
    boolean initialized)
    implements AutoCloseable {

  /**
   * How to load a model.
   *
   * @param dtype of parameters and activations
   * @param trained whether gradients are needed
   * @param positions the longest sequence that will be seen
   * @param seed of random weights, drawn if the folder holds none
   * @param checkMemory red zones around every buffer
   * @param gradients dtype of parameter gradients: the accumulator of {@code dtype}, or BF16
   * @param tuning which parameters have gradients, and adapters
   */
  public record Options(
      DType dtype,
      boolean trained,
      int positions,
      long seed,
      boolean checkMemory,
      DType gradients,
      Tuning tuning) {
    /** With gradients of all parameters in the accumulator dtype. */
    public Options(DType dtype, boolean trained, int positions, long seed, boolean checkMemory) {
      this(dtype, trained, positions, seed, checkMemory, dtype.accumulator(), Tuning.FULL);
    }

    /** With gradients of all parameters in this dtype. */
    public Options(
        DType dtype,
        boolean trained,
        int positions,
        long seed,
        boolean checkMemory,
        DType gradients) {
      this(dtype, trained, positions, seed, checkMemory, gradients, Tuning.FULL);
    }

    /** The same with another tuning. */
    public Options with(Tuning other) {
      return new Options(dtype, trained, positions, seed, checkMemory, gradients, other);
    }
  }

  /**
   * Reads a Hugging Face model folder.
   *
   * @throws UserError naming everything in the folder that does not fit
   */
  public static LoadedModel open(RankContext rank, Path folder, Options options) {
    return open(rank, folder, ModelConfig.read(folder), "its config.json", options, null);
  }

  /**
   * As {@link #open(RankContext, Path, Options)} with a configuration that may differ from the
   * folder's.
   *
   * @param saved what the weights of the folder are to be read as
   * @param source where the configuration comes from, for messages
   * @param growth new tokens, for which the model gets more rows than are saved; null for none
   */
  public static LoadedModel open(
      RankContext rank,
      Path folder,
      ModelConfig saved,
      String source,
      Options options,
      @Nullable VocabularyGrowth growth) {
    ModelConfig config = growth == null ? saved : saved.withVocabSize(growth.rows());
    Backend backend = rank.backend();
    if (!backend.computesIn(options.dtype())) {
      throw new UserError(
          "--torch_dtype "
              + options.dtype()
              + " is not supported on "
              + backend.device().describe());
    }
    try (Arena arena = Arena.ofConfined()) {
      ModelWeights weights =
          ModelWeights.open(folder, arena)
              .under(config.family().weights().base(), "lm_head.weight");
      if (!weights.isEmpty()) {
        weights.match(ParameterLayout.hfShapes(saved), ParameterLayout.tiedHfNames(saved), source);
      }
      LoadedModel model = allocate(rank, config, options, weights.isEmpty());
      try (MemoryScope scratch = rank.memory().scope("weight loading", options.checkMemory())) {
        WeightInitializer initializer = new WeightInitializer(backend, config, options.seed());
        if (weights.isEmpty()) {
          initializer.initialize(model.store, scratch);
        } else {
          // The saved shapes: rows of new tokens come after those of the files.
          new WeightTransfer(backend, saved)
              .load(weights.tensors(), "", model.store, model.store.values(), scratch);
          if (growth != null) {
            new NewTokenRows(backend, config, initializer).initialize(model.store, growth, scratch);
          }
        }
        AdapterPlan adapters = options.tuning().adapters();
        if (adapters != null) {
          loadAdapters(rank, config, adapters, initializer, model.store, scratch);
        }
      }
      return model;
    }
  }

  private static void loadAdapters(
      RankContext rank,
      ModelConfig config,
      AdapterPlan adapters,
      WeightInitializer initializer,
      ParameterStore store,
      MemoryScope scratch) {
    AdapterFiles source = adapters.source();
    if (source == null) {
      new AdapterInitializer(rank.backend(), initializer::stream)
          .initialize(adapters, store, scratch);
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      List<ParameterLayout> layouts = adapters.fileLayouts(config);
      SafetensorsFile file = source.openWeights(arena, ParameterLayout.hfShapes(layouts));
      adapters.requireOneSharedA(config, file);
      new WeightTransfer(rank.backend(), layouts)
          .load(file.tensors(), "", store, store.values(), scratch);
    }
  }

  private static LoadedModel allocate(
      RankContext rank, ModelConfig config, Options options, boolean initialized) {
    Backend backend = rank.backend();
    MemoryScope run = rank.memory().scope("run", options.checkMemory());
    ParameterStore store =
        new ParameterStore(
            backend,
            run,
            options.tuning().specs(config),
            options.dtype(),
            options.trained() ? options.gradients() : null);
    TransformerModel network =
        ModelBuilder.build(
            config,
            store,
            ModelBuilder.rotary(
                backend.device(), run, config, options.positions(), options.dtype().accumulator()),
            options.tuning());
    return new LoadedModel(config, run, store, network, initialized);
  }

  @Override
  public void close() {
    run.close();
  }
}
