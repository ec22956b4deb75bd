package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.ModelWeights;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.TensorParallel;
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
 * @param parallel how the ranks of the group share the parameters
 * @param initialized whether the weights were drawn at random, because the folder has none
 */
public record LoadedModel(
    ModelConfig config,
    MemoryScope run,
    ParameterStore store,
    TransformerModel network,
    TensorParallel parallel,
    boolean initialized)
    implements AutoCloseable {
  /** The head of a sequence classifier, in files as in the store. */
  private static final String SCORE = "score.weight";

  /**
   * How to load a model.
   *
   * @param dtype of parameters and activations
   * @param trained whether gradients are needed
   * @param positions the longest sequence that will be seen
   * @param seed of random weights, drawn if the folder holds none
   * @param checkMemory red zones around every buffer
   * @param gradients dtype of parameter gradients: the accumulator of {@code dtype}, or BF16
   */
  public record Options(
      DType dtype,
      boolean trained,
      int positions,
      long seed,
      boolean checkMemory,
      DType gradients) {
    /** With gradients in the accumulator dtype. */
    public Options(DType dtype, boolean trained, int positions, long seed, boolean checkMemory) {
      this(dtype, trained, positions, seed, checkMemory, dtype.accumulator());
    }
  }

  /**
   * Reads a Hugging Face model folder as a language model.
   *
   * @throws UserError naming everything in the folder that does not fit
   */
  public static LoadedModel open(RankContext rank, Path folder, Options options) {
    ModelConfig config = ModelConfig.read(folder).languageModel(folder);
    return open(rank, folder, config, "its config.json", options, null);
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
    TensorParallel parallel =
        TensorParallel.of(rank.groups().tensor(), rank.sizes().sequenceParallel());
    ModelBuilder.requireShares(config, parallel.size());
    try (Arena arena = Arena.ofConfined()) {
      ModelWeights weights =
          ModelWeights.open(folder, arena)
              .under(config.family().weights().base(), "lm_head.weight");
      ModelConfig filed = saved;
      if (!weights.isEmpty()) {
        if (!(saved.output() instanceof HeadKind.Vocabulary)) {
          // What is left of the model that this one is made from.
          weights = weights.without("lm_head.weight");
          filed = weights.tensor(SCORE) == null ? saved.withOutput(HeadKind.NONE) : saved;
        }
        weights.match(ParameterLayout.hfShapes(filed), ParameterLayout.tiedHfNames(filed), source);
      }
      LoadedModel model = allocate(rank, config, options, parallel, weights.isEmpty());
      try (MemoryScope scratch = rank.memory().scope("weight loading", options.checkMemory())) {
        WeightInitializer initializer = new WeightInitializer(backend, config, options.seed());
        if (weights.isEmpty()) {
          initializer.initialize(model.store, parallel, scratch);
        } else {
          // The saved shapes: rows of new tokens come after those of the files.
          new WeightTransfer(backend, filed, config, parallel, rank.memory())
              .load(weights.tensors(), "", model.store, model.store.values(), scratch);
          if (!filed.equals(saved) && model.store.contains(SCORE)) {
            initializer.initialize(model.store.parameter(SCORE), scratch);
          }
          if (growth != null) {
            new NewTokenRows(backend, config, initializer, parallel)
                .initialize(model.store, growth, scratch);
          }
        }
      }
      return model;
    }
  }

  private static LoadedModel allocate(
      RankContext rank,
      ModelConfig config,
      Options options,
      TensorParallel parallel,
      boolean initialized) {
    Backend backend = rank.backend();
    MemoryScope run = rank.memory().scope("run", options.checkMemory());
    List<FlatLayout.Spec> specs = ModelBuilder.specs(config, parallel);
    long multiple = FlatLayout.multipleFor(rank.groups().dataContext().size());
    ParameterStore store =
        new ParameterStore(
            backend,
            run,
            new FlatLayout(specs, multiple),
            specs,
            options.dtype(),
            options.trained() ? options.gradients() : null);
    TransformerModel network =
        ModelBuilder.build(
            config,
            store,
            ModelBuilder.rotary(
                backend.device(), run, config, options.positions(), options.dtype().accumulator()),
            parallel);
    return new LoadedModel(config, run, store, network, parallel, initialized);
  }

  @Override
  public void close() {
    run.close();
  }
}
