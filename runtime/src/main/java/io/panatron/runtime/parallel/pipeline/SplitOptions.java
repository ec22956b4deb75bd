package io.panatron.runtime.parallel.pipeline;

import io.panatron.runtime.UserError;
import org.jspecify.annotations.Nullable;

/**
 * The parameters that say how layers are split into stages; contradictions are refused here, what
 * depends on the model in {@link PipelineSplit#of}.
 *
 * @param pipeline {@code --pipeline_model_parallel_size}
 * @param firstLayers {@code --decoder_first_pipeline_num_layers}, or null
 * @param lastLayers {@code --decoder_last_pipeline_num_layers}, or null
 * @param accountForEmbedding whether the embedding counts as a layer
 * @param accountForLoss whether the loss counts as a layer
 * @param virtualStages {@code --num_virtual_stages_per_pipeline_rank}, or null
 * @param layersPerVirtualStage {@code --num_layers_per_virtual_pipeline_stage}, or null
 * @param layout {@code --pipeline_model_parallel_layout}, or null
 */
public record SplitOptions(
    int pipeline,
    @Nullable Integer firstLayers,
    @Nullable Integer lastLayers,
    boolean accountForEmbedding,
    boolean accountForLoss,
    @Nullable Integer virtualStages,
    @Nullable Integer layersPerVirtualStage,
    @Nullable PipelineLayout layout) {
  private static final String FIRST = "--decoder_first_pipeline_num_layers";
  private static final String LAST = "--decoder_last_pipeline_num_layers";
  private static final String EMBEDDING = "--account_for_embedding_in_pipeline_split";
  private static final String LOSS = "--account_for_loss_in_pipeline_split";
  private static final String STAGES = "--num_virtual_stages_per_pipeline_rank";
  private static final String LAYERS = "--num_layers_per_virtual_pipeline_stage";
  private static final String LAYOUT = "--pipeline_model_parallel_layout";

  public SplitOptions {
    positive("--pipeline_model_parallel_size", pipeline);
    positive(FIRST, firstLayers);
    positive(LAST, lastLayers);
    positive(STAGES, virtualStages);
    positive(LAYERS, layersPerVirtualStage);
    String uneven = firstLayers != null ? FIRST : lastLayers != null ? LAST : null;
    String counted = accountForEmbedding ? EMBEDDING : accountForLoss ? LOSS : null;
    String chunked = virtualStages != null ? STAGES : layersPerVirtualStage != null ? LAYERS : null;
    if (layout != null) {
      exclusive(LAYOUT, uneven);
      exclusive(LAYOUT, counted);
      exclusive(LAYOUT, chunked);
    }
    if (uneven != null) {
      exclusive(uneven, counted);
      exclusive(uneven, layersPerVirtualStage == null ? null : LAYERS);
      pipelined(uneven, pipeline);
    }
    if (virtualStages != null) {
      exclusive(STAGES, layersPerVirtualStage == null ? null : LAYERS);
    }
    if (layersPerVirtualStage != null || (virtualStages != null && virtualStages > 1)) {
      pipelined(chunked == null ? STAGES : chunked, pipeline);
    }
    if (layout != null && pipeline == 1 && layout.stages().size() > 1) {
      pipelined(LAYOUT + " with several stages", pipeline);
    }
  }

  /** Equal stages, one on each rank. */
  public static SplitOptions even(int pipeline) {
    return new SplitOptions(pipeline, null, null, false, false, null, null, null);
  }

  /**
   * Model chunks of each rank.
   *
   * @param perRank layers of a rank, counted as {@link LayerCounts} does
   */
  int chunks(int perRank) {
    if (layersPerVirtualStage == null) {
      return virtualStages == null ? 1 : virtualStages;
    }
    if (perRank % layersPerVirtualStage != 0) {
      throw new UserError(
          "the %d layers of a pipeline rank cannot be divided by %s %d; choose a divisor."
              .formatted(perRank, LAYERS, layersPerVirtualStage));
    }
    return Math.max(1, perRank / layersPerVirtualStage);
  }

  private static void positive(String name, @Nullable Integer value) {
    if (value != null && value < 1) {
      throw new UserError("%s is %d; it must be at least 1.".formatted(name, value));
    }
  }

  private static void exclusive(String name, @Nullable String other) {
    if (other != null) {
      throw new UserError(
          "%s and %s both say how layers are split; keep one of them.".formatted(name, other));
    }
  }

  private static void pipelined(String name, int pipeline) {
    if (pipeline == 1) {
      throw new UserError(
          "%s needs a --pipeline_model_parallel_size above 1; raise that or leave it out."
              .formatted(name));
    }
  }
}
