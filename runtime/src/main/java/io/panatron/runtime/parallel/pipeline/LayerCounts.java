package io.panatron.runtime.parallel.pipeline;

import io.panatron.runtime.UserError;
import java.util.Arrays;

/**
 * How many layers each rank of a pipeline gets without a layout.
 *
 * @param layers decoder layers of the model
 */
record LayerCounts(SplitOptions options, int layers) {
  /** Layers of each rank, the embedding and the loss counted as layers where the options say so. */
  int[] perRank() {
    if (layers < 1) {
      throw new UserError("a model of %d layers cannot be split.".formatted(layers));
    }
    Integer first = options.firstLayers();
    Integer last = options.lastLayers();
    return first == null && last == null ? even() : uneven();
  }

  private int[] even() {
    int counted =
        layers + (options.accountForEmbedding() ? 1 : 0) + (options.accountForLoss() ? 1 : 0);
    if (counted % options.pipeline() != 0) {
      throw new UserError(
          "%d layers%s cannot be divided among --pipeline_model_parallel_size %d ranks; use --decoder_first_pipeline_num_layers, --decoder_last_pipeline_num_layers or --pipeline_model_parallel_layout."
              .formatted(
                  counted,
                  counted == layers ? "" : " (embedding or loss counted)",
                  options.pipeline()));
    }
    int[] perRank = new int[options.pipeline()];
    Arrays.fill(perRank, counted / options.pipeline());
    return perRank;
  }

  private int[] uneven() {
    Integer first = options.firstLayers();
    Integer last = options.lastLayers();
    int rest = layers - (first == null ? 0 : first) - (last == null ? 0 : last);
    int ranks = options.pipeline() - (first == null ? 0 : 1) - (last == null ? 0 : 1);
    if (rest < 0 || (ranks == 0 ? rest != 0 : rest % ranks != 0)) {
      throw new UserError(
          "%d layers less the %s of the first and the %s of the last stage leave %d, which cannot be divided among the other %d; change --decoder_first_pipeline_num_layers or --decoder_last_pipeline_num_layers."
              .formatted(layers, first == null ? 0 : first, last == null ? 0 : last, rest, ranks));
    }
    int[] perRank = new int[options.pipeline()];
    Arrays.fill(perRank, ranks == 0 ? 0 : rest / ranks);
    if (first != null) {
      perRank[0] = first;
    }
    if (last != null) {
      perRank[perRank.length - 1] = last;
    }
    return perRank;
  }
}
