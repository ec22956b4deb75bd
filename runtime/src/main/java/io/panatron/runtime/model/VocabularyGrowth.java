package io.panatron.runtime.model;

import java.util.Collections;
import java.util.List;

/**
 * Tokens that a run adds to a model's vocabulary: {@code --new_special_tokens}.
 *
 * <p>Where the rows of the embedding do not suffice they grow to the next multiple of {@value
 * #MULTIPLE}, those of an untied output projection with them. New rows are drawn anew, and so are
 * those of new tokens that the model had room for but left at zero. Source: Megatron-SWIFT's {@code
 * _initialize_embedding}, where rows are drawn by Megatron-Core's {@code init_method_normal}.
 *
 * @param rowsBefore rows of the embedding in the model's files
 * @param rows rows of the embedding in the run
 * @param newIds ids of the added tokens
 */
public record VocabularyGrowth(int rowsBefore, int rows, List<Integer> newIds) {
  private static final int MULTIPLE = 128;

  public VocabularyGrowth {
    newIds = List.copyOf(newIds);
  }

  /**
   * How a model's vocabulary grows.
   *
   * @param config the model as its files have it
   * @param tokens one more than the greatest token id
   */
  public static VocabularyGrowth of(ModelConfig config, int tokens, List<Integer> newIds) {
    int before = config.vocabSize();
    boolean suffices = newIds.isEmpty() || tokens <= before;
    return new VocabularyGrowth(
        before, suffices ? before : Math.ceilDiv(tokens, MULTIPLE) * MULTIPLE, newIds);
  }

  /** Whether no token is new. */
  public boolean isNone() {
    return newIds.isEmpty();
  }

  /** The new tokens and what they do to the embeddings, for the start of a run. */
  public String describe() {
    return "%d (ids %d to %d); embeddings %s"
        .formatted(
            newIds.size(),
            Collections.min(newIds),
            Collections.max(newIds),
            rows == rowsBefore
                ? "have room for them"
                : "grow from %d to %d rows".formatted(rowsBefore, rows));
  }
}
