package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.runtime.checkpoint.ModelWeights;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.pipeline.PipelineSplit;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one rank of a pipeline has of a model: the parameters of its stages, in one run scope.
 *
 * @param config of the whole model
 * @param run owns the parameters
 * @param store the parameters of all stages of this rank
 * @param stages of this rank, in the order of the model
 * @param tied name of the parameter that this rank shares with the other end of the pipeline, or
 *     null
 */
public record StagedModel(
    ModelConfig config,
    MemoryScope run,
    ParameterStore store,
    List<ModelStage> stages,
    @Nullable String tied)
    implements AutoCloseable {
  public StagedModel {
    stages = List.copyOf(stages);
  }

  /**
   * Reads a rank's part of a Hugging Face model folder, or draws the weights that one rank would
   * draw.
   *
   * @param split which layers each rank of the pipeline holds
   */
  public static StagedModel open(
      RankContext rank, Path folder, PipelineSplit split, LoadedModel.Options options) {
    ModelConfig config = ModelConfig.read(folder);
    TensorParallel parallel =
        TensorParallel.of(rank.groups().tensor(), rank.sizes().sequenceParallel());
    ModelBuilder.requireShares(config, parallel.size());
    try (Arena arena = Arena.ofConfined()) {
      ModelWeights weights =
          ModelWeights.open(folder, arena)
              .under(config.family().weights().base(), "lm_head.weight");
      if (!weights.isEmpty()) {
        weights.match(
            ParameterLayout.hfShapes(config),
            ParameterLayout.tiedHfNames(config),
            "its config.json");
      }
      StagedModel model = allocate(rank, config, split, parallel, options);
      Backend backend = rank.backend();
      try (MemoryScope scratch = rank.memory().scope("weight loading", options.checkMemory())) {
        if (weights.isEmpty()) {
          new WeightInitializer(backend, config, options.seed())
              .initialize(model.store, parallel, scratch);
        } else {
          new WeightTransfer(backend, config, config, parallel, rank.memory())
              .load(weights.tensors(), "", model.store, model.store.values(), scratch);
        }
      }
      return model;
    }
  }

  private static StagedModel allocate(
      RankContext rank,
      ModelConfig config,
      PipelineSplit split,
      TensorParallel parallel,
      LoadedModel.Options options) {
    List<StagePart> parts = parts(split, rank.coordinates().pipeline().index());
    MemoryScope run = rank.memory().scope("run", options.checkMemory());
    List<FlatLayout.Spec> specs = ModelBuilder.specs(config, parts, parallel);
    long multiple = FlatLayout.multipleFor(rank.groups().dataContext().size());
    ParameterStore store =
        new ParameterStore(
            rank.backend(),
            run,
            new FlatLayout(specs, multiple),
            specs,
            options.dtype(),
            options.trained() ? options.gradients() : null);
    RotaryTables rotary =
        ModelBuilder.rotary(
            rank.backend().device(),
            run,
            config,
            options.positions(),
            options.dtype().accumulator());
    List<ModelStage> stages =
        parts.stream()
            .map(part -> ModelBuilder.stage(config, store, rotary, part, parallel))
            .toList();
    boolean shares =
        split.pipeline() > 1
            && config.tieWordEmbeddings()
            && parts.stream().anyMatch(part -> part.embedding() || part.head());
    return new StagedModel(config, run, store, stages, shares ? "model.embed_tokens.weight" : null);
  }

  private static List<StagePart> parts(PipelineSplit split, int rank) {
    List<StagePart> parts = new ArrayList<>();
    for (int chunk = 0; chunk < split.chunks(); chunk++) {
      PipelineSplit.Stage stage = split.stage(rank, chunk);
      parts.add(new StagePart(stage.firstLayer(), stage.layers(), stage.embedding(), stage.loss()));
    }
    return parts;
  }

  @Override
  public void close() {
    run.close();
  }
}
