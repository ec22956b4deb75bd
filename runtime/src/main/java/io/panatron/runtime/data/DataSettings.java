package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Which data a run reads and how rows become samples; the fields are the parameters of that name.
 *
 * @param preTraining rows are text ({@code pt}) rather than conversations ({@code sft})
 * @param system the system prompt itself; null for none
 * @param maxLength token limit of a sample; null for none
 * @param fetched the files of data sets that are not here under their names, by these names
 */
public record DataSettings(
    boolean preTraining,
    List<String> dataset,
    List<String> valDataset,
    double splitDatasetRatio,
    long dataSeed,
    boolean datasetShuffle,
    boolean valDatasetShuffle,
    @Nullable String system,
    @Nullable Integer maxLength,
    Truncation truncation,
    LossScale lossScale,
    boolean strict,
    Reading reading,
    Map<String, List<Path>> fetched) {
  public DataSettings {
    fetched = Map.copyOf(fetched);
    dataset = List.copyOf(dataset);
    valDataset = List.copyOf(valDataset);
    if (dataset.isEmpty() && reading.tokens().training().isEmpty()) {
      throw new UserError("--dataset is missing; give data files or folders of them");
    }
    if (!(splitDatasetRatio >= 0 && splitDatasetRatio < 1)) {
      throw new UserError(
          "--split_dataset_ratio must be at least 0 and below 1, but is " + splitDatasetRatio);
    }
    if (splitDatasetRatio > 0
        && !(valDataset.isEmpty() && reading.tokens().validation().isEmpty())) {
      throw new UserError(
          "--val_dataset and --split_dataset_ratio exclude each other; set one of them only");
    }
    if (reading.streaming() != null && splitDatasetRatio > 0) {
      throw new UserError(
          "--split_dataset_ratio cannot split streamed data, whose number of rows is unknown; give"
              + " --val_dataset");
    }
    if (maxLength != null && maxLength < 1) {
      throw new UserError("--max_length must be at least 1, but is " + maxLength);
    }
    if (truncation == Truncation.SPLIT && !preTraining) {
      throw new UserError(
          "--truncation_strategy split works for pt only; use delete, left or right");
    }
    if (truncation == Truncation.SPLIT && maxLength == null) {
      throw new UserError("--truncation_strategy split needs --max_length");
    }
  }

  /** Settings of data that are files and folders here. */
  public DataSettings(
      boolean preTraining,
      List<String> dataset,
      List<String> valDataset,
      double splitDatasetRatio,
      long dataSeed,
      boolean datasetShuffle,
      boolean valDatasetShuffle,
      @Nullable String system,
      @Nullable Integer maxLength,
      Truncation truncation,
      LossScale lossScale,
      boolean strict,
      Reading reading) {
    this(
        preTraining,
        dataset,
        valDataset,
        splitDatasetRatio,
        dataSeed,
        datasetShuffle,
        valDatasetShuffle,
        system,
        maxLength,
        truncation,
        lossScale,
        strict,
        reading,
        Map.of());
  }

  /** The same settings with another token limit. */
  public DataSettings withMaxLength(int limit) {
    return with(limit, reading);
  }

  /** The same settings for rows that become labelled sequences, or not with null. */
  public DataSettings withTask(@Nullable SequenceTask task) {
    return with(maxLength, reading.withTask(task));
  }

  private DataSettings with(@Nullable Integer limit, Reading reading) {
    return new DataSettings(
        preTraining,
        dataset,
        valDataset,
        splitDatasetRatio,
        dataSeed,
        datasetShuffle,
        valDatasetShuffle,
        system,
        limit,
        truncation,
        lossScale,
        strict,
        reading,
        fetched);
  }

  /**
   * Whether rows are tokenized before training: if the reading needs it, or since rows are cut into
   * several samples, each of which would tokenize the whole row again.
   */
  boolean tokenizesFirst() {
    return reading.tokenizesFirst()
        || truncation == Truncation.SPLIT && reading.tokens().lazy() == null;
  }

  /** The token limit, where there must be one. */
  public int requiredMaxLength() {
    if (maxLength == null) {
      throw new IllegalStateException("no token limit is set");
    }
    return maxLength;
  }

  /** How sequences are chosen of a row; null where the loss is that of tokens. */
  @Nullable SequenceChoice sequenceChoice() {
    SequenceTask task = reading.task();
    return task == null
        ? null
        : new SequenceChoice(
            task, truncation, maxLength == null ? Integer.MAX_VALUE : maxLength, dataSeed);
  }

  /** The room that samples take in packs: one of several sequences may fill a pack and more. */
  int[] lengthsInPacks(int[] lengths, Packing packing) {
    int most = packingLength(packing);
    return reading.task() == null
        ? lengths
        : Arrays.stream(lengths).map(length -> Math.min(length, most)).toArray();
  }

  /** Tokens of a pack. */
  int packingLength(Packing packing) {
    int limit = requiredMaxLength();
    int length = packing.length() == null ? limit : packing.length();
    if (length < limit) {
      throw new UserError(
          "--packing_length "
              + length
              + " is below --max_length "
              + limit
              + ", so that samples would not fit into a pack; raise it, or lower --max_length");
    }
    return length;
  }

  /** The prompt that {@code --system} means: the text itself, or the content of a .txt file. */
  public static String systemPrompt(String given) {
    if (!given.endsWith(".txt")) {
      return given;
    }
    try {
      return Files.readString(Path.of(given));
    } catch (IOException | InvalidPathException e) {
      throw new UserError(
          "--system " + given + " cannot be read as a UTF-8 text file (" + e + "); check the path",
          e);
    }
  }
}
