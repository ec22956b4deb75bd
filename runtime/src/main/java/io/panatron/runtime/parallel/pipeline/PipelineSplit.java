package io.panatron.runtime.parallel.pipeline;

import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.List;

/**
 * Which layers each rank of a pipeline holds.
 *
 * <p>Layers follow each other stage by stage; stage {@code i} is model chunk {@code i / pipeline}
 * of pipeline rank {@code i % pipeline}, so that with interleaving each rank holds several chunks
 * that are not neighbours.
 *
 * @param pipeline ranks of the pipeline
 * @param stages in the order of the layers; a multiple of {@code pipeline}
 */
public record PipelineSplit(int pipeline, List<Stage> stages) {
  /**
   * What one model chunk of one rank holds.
   *
   * @param embedding whether it begins with the embedding
   * @param firstLayer number of its first decoder layer in the model; where there is none, of the
   *     next one
   * @param layers number of decoder layers
   * @param mtpLayers number of multi-token prediction layers
   * @param loss whether it ends with the final norm, the output layer and the loss
   */
  public record Stage(boolean embedding, int firstLayer, int layers, int mtpLayers, boolean loss) {
    public Stage {
      if (firstLayer < 0 || layers < 0 || mtpLayers < 0) {
        throw new IllegalArgumentException(
            "stage of %d layers from %d and %d of MTP".formatted(layers, firstLayer, mtpLayers));
      }
    }

    /** One more than the number of its last decoder layer. */
    public int endLayer() {
      return firstLayer + layers;
    }
  }

  public PipelineSplit {
    stages = List.copyOf(stages);
    if (pipeline < 1 || stages.isEmpty() || stages.size() % pipeline != 0) {
      throw new IllegalArgumentException(stages.size() + " stages on " + pipeline + " ranks");
    }
    int next = 0;
    for (Stage stage : stages) {
      if (stage.firstLayer() != next) {
        throw new IllegalArgumentException("layers do not follow each other: " + stages);
      }
      next = stage.endLayer();
    }
  }

  /**
   * The split of a model.
   *
   * <p>Without a layout each stage gets as many layers as any other, apart from what the options
   * say of the first and the last; multi-token prediction stands with the loss. Source:
   * Megatron-Core, transformer/transformer_block.py, {@code get_num_layers_to_build}.
   *
   * @param layers decoder layers of the model
   * @param mtpLayers multi-token prediction layers of the model
   * @throws UserError if the layers cannot be split in this way
   */
  public static PipelineSplit of(SplitOptions options, int layers, int mtpLayers) {
    PipelineLayout layout = options.layout();
    if (layout != null) {
      return layout.split(options.pipeline(), layers, mtpLayers);
    }
    int[] perRank = new LayerCounts(options, layers).perRank();
    int chunks = options.chunks(perRank[0]);
    int last = perRank.length - 1;
    for (int rank = 0; rank < perRank.length; rank++) {
      if (perRank[rank] % chunks != 0) {
        throw new UserError(
            "the %d layers of pipeline rank %d cannot be divided into %d virtual stages; choose another number of virtual stages."
                .formatted(perRank[rank], rank, chunks));
      }
    }
    List<Stage> stages = new ArrayList<>();
    int next = 0;
    for (int chunk = 0; chunk < chunks; chunk++) {
      for (int rank = 0; rank < perRank.length; rank++) {
        boolean embedding = chunk == 0 && rank == 0;
        boolean loss = chunk == chunks - 1 && rank == last;
        int count =
            perRank[rank] / chunks
                - (embedding && options.accountForEmbedding() ? 1 : 0)
                - (loss && options.accountForLoss() ? 1 : 0);
        if (count < 0) {
          throw new UserError(
              "%d layers on %d stages leave none in place of the embedding and the loss; leave out --account_for_embedding_in_pipeline_split or --account_for_loss_in_pipeline_split, or use fewer stages."
                  .formatted(layers, chunks * perRank.length));
        }
        stages.add(new Stage(embedding, next, count, loss ? mtpLayers : 0, loss));
        next += count;
      }
    }
    return new PipelineSplit(options.pipeline(), stages);
  }

  /** Model chunks of each rank. */
  public int chunks() {
    return stages.size() / pipeline;
  }

  /** Decoder layers of the model. */
  public int layers() {
    return stages.getLast().endLayer();
  }

  /** What a chunk of a pipeline rank holds. */
  public Stage stage(int rank, int chunk) {
    if (rank < 0 || rank >= pipeline || chunk < 0 || chunk >= chunks()) {
      throw new IndexOutOfBoundsException(
          "chunk %d of rank %d among %d x %d".formatted(chunk, rank, chunks(), pipeline));
    }
    return stages.get(chunk * pipeline + rank);
  }

  /** The pipeline rank that holds a decoder layer. */
  public int rankOfLayer(int layer) {
    for (int i = 0; i < stages.size(); i++) {
      if (layer >= stages.get(i).firstLayer() && layer < stages.get(i).endLayer()) {
        return i % pipeline;
      }
    }
    throw new IndexOutOfBoundsException("layer " + layer + " of " + layers());
  }

  /** Whether multi-token prediction stands on another rank than the loss. */
  public boolean mtpStandsAlone() {
    for (int i = 0; i < stages.size(); i++) {
      if (stages.get(i).mtpLayers() > 0 && i % pipeline != pipeline - 1) {
        return true;
      }
    }
    return false;
  }
}
