package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The training and validation samples of a run; see {@link DataLoading} for how they are chosen.
 */
public final class DataPipeline implements AutoCloseable {
  private final SampleFiles files;
  private final SampleSet training;
  private final SampleSet validation;
  private final DroppedRows dropped;
  private final List<String> notes;
  private final Map<String, String> identity;
  private final @Nullable Supplier<SampleStream> stream;

  DataPipeline(
      SampleFiles files,
      SampleSet training,
      SampleSet validation,
      DroppedRows dropped,
      List<String> notes,
      Map<String, String> identity,
      @Nullable Supplier<SampleStream> stream) {
    this.stream = stream;
    this.notes = List.copyOf(notes);
    this.identity = Map.copyOf(identity);
    this.files = files;
    this.training = training;
    this.validation = validation;
    this.dropped = dropped;
  }

  /**
   * Opens the data.
   *
   * @throws UserError naming file and line for bad rows with {@code strict}, or if no sample is
   *     left
   */
  public static DataPipeline open(
      DataSettings settings, HfTokenizer tokenizer, ChatTemplate template) {
    SampleFiles files = new SampleFiles();
    try {
      SampleEncoder encoder =
          new SampleEncoder(
              tokenizer, template, settings.lossScale(), template instanceof PlainTemplate);
      return new DataLoading(settings, files, encoder, template.identity()).load();
    } catch (RuntimeException | Error e) {
      files.close();
      throw e;
    }
  }

  /** The training samples; none if they are streamed. */
  public SampleSet training() {
    return training;
  }

  /** The validation samples; may be empty. */
  public SampleSet validation() {
    return validation;
  }

  public DroppedRows dropped() {
    return dropped;
  }

  /** Whether training samples come from {@link #openStream} alone. */
  public boolean isStreamed() {
    return stream != null;
  }

  /** The training samples from the first, where they are streamed. */
  public SampleStream openStream() {
    if (stream == null) {
      throw new IllegalStateException("the data are not streamed");
    }
    return stream.get();
  }

  /**
   * What decides the training samples and their order, by the names of the parameters that decide
   * it, for a resumed run to compare.
   */
  public Map<String, String> identity() {
    return identity;
  }

  /** What else the user may want to know about the data, a line each. */
  public List<String> notes() {
    return notes;
  }

  /** Closes the data files; every batch source must be closed before. */
  @Override
  public void close() {
    files.close();
  }
}
