package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Tokenizes data sets into folders that {@code --cached_dataset} and {@code --cached_val_dataset}
 * take: what {@code --to_cached_dataset} does. Rows that cannot be used are left out, counts and
 * the split are applied, samples are kept whole, since {@code --max_length}, packing and the order
 * are the training run's to decide.
 *
 * <p>Source: Megatron-SWIFT's {@code ExportCachedDataset}, of which the names of the folders are.
 */
public final class CachedDatasetWriter {
  private static final String TRAINING = "train";
  private static final String VALIDATION = "val";

  private final DataSettings settings;
  private final SampleEncoder encoder;
  private final RowParser parser;
  private final Map<Path, InputStamp> stamps = new HashMap<>();

  private CachedDatasetWriter(DataSettings settings, SampleEncoder encoder, RowParser parser) {
    this.settings = settings;
    this.encoder = encoder;
    this.parser = parser;
  }

  /**
   * What was written.
   *
   * @param training the folder of training samples
   * @param validation the folder of validation samples; null if there are none
   * @param dropped what was left out
   */
  public record Written(
      Path training,
      int trainingSamples,
      @Nullable Path validation,
      int validationSamples,
      DroppedRows dropped) {}

  /**
   * Writes the folders {@code train} and, where there are validation samples, {@code val}.
   *
   * @param folder where they are written; it may exist, but hold none of the two
   * @throws UserError for bad rows with {@code strict}, for settings that only training can follow,
   *     if no sample is left, or if the folder cannot be written; then nothing is left in it
   */
  public static Written write(
      DataSettings settings, HfTokenizer tokenizer, ChatTemplate template, Path folder) {
    requireWritable(settings, folder);
    Reading reading = settings.reading();
    SampleEncoder encoder =
        new SampleEncoder(
            tokenizer, template, settings.lossScale(), template instanceof PlainTemplate);
    RowParser parser =
        new RowParser(
            settings.preTraining(), settings.system(), reading.columns(), reading.channels());
    CachedDatasetWriter writer = new CachedDatasetWriter(settings, encoder, parser);
    writer.noteFiles();
    try (DataPipeline data = DataPipeline.open(whole(settings), tokenizer, template)) {
      return writer.write(data, folder);
    } catch (IOException e) {
      throw new UserError(
          "the tokenized data cannot be written to "
              + folder
              + " ("
              + e
              + "); free space, or choose"
              + " another folder",
          e);
    }
  }

  private static void requireWritable(DataSettings settings, Path folder) {
    Reading reading = settings.reading();
    String notHere =
        reading.streaming() != null
            ? "--streaming"
            : reading.mixing() != null
                ? "--interleave_prob"
                : !reading.tokens().training().isEmpty()
                    ? "--cached_dataset"
                    : !reading.tokens().validation().isEmpty() ? "--cached_val_dataset" : null;
    if (notHere != null) {
      throw new UserError(
          notHere
              + " has no meaning for data that are only tokenized; leave it out, and give it to the"
              + " training run");
    }
    for (String name : List.of(TRAINING, VALIDATION)) {
      if (Files.exists(folder.resolve(name))) {
        throw new UserError(
            folder.resolve(name)
                + " is there already, and would be mixed with other data; move it away, or choose"
                + " another folder");
      }
    }
  }

  /** Noted before they are read, so that a change meanwhile shows as a difference later. */
  private void noteFiles() {
    noteFiles("--dataset", settings.dataset());
    noteFiles("--val_dataset", settings.valDataset());
  }

  private void noteFiles(String option, List<String> given) {
    for (String name : given) {
      DatasetPath.parse(option, name, settings.fetched())
          .files()
          .forEach(file -> stamps.computeIfAbsent(file, InputStamp::of));
    }
  }

  /** Settings under which samples are those rows of the files that were chosen, in their order. */
  private static DataSettings whole(DataSettings settings) {
    Reading reading = settings.reading();
    Tokens tokens = new Tokens(false, reading.tokens().threads(), null, List.of(), List.of());
    return new DataSettings(
        settings.preTraining(),
        settings.dataset(),
        settings.valDataset(),
        settings.splitDatasetRatio(),
        settings.dataSeed(),
        false,
        false,
        settings.system(),
        null,
        Truncation.DELETE,
        settings.lossScale(),
        settings.strict(),
        new Reading(
            reading.columns(),
            null,
            null,
            false,
            tokens,
            null,
            reading.channels(),
            reading.columnsOf(),
            reading.task()),
        settings.fetched());
  }

  private Written write(DataPipeline data, Path folder) throws IOException {
    Files.createDirectories(folder);
    Path fresh = TokenCache.unfinished(folder);
    try {
      write((RowSamples) data.training(), fresh.resolve(TRAINING));
      boolean validates = data.validation().size() > 0;
      if (validates) {
        write((RowSamples) data.validation(), fresh.resolve(VALIDATION));
        move(fresh, folder, VALIDATION);
      }
      move(fresh, folder, TRAINING);
      return new Written(
          folder.resolve(TRAINING),
          data.training().size(),
          validates ? folder.resolve(VALIDATION) : null,
          data.validation().size(),
          data.dropped());
    } finally {
      delete(fresh);
    }
  }

  private static void move(Path from, Path to, String name) throws IOException {
    Files.move(from.resolve(name), to.resolve(name), StandardCopyOption.ATOMIC_MOVE);
  }

  /** One file for each data file, numbered so that their order stays. */
  private void write(RowSamples samples, Path folder) throws IOException {
    Files.createDirectories(folder);
    Map<Path, List<Integer>> bySource = new LinkedHashMap<>();
    for (int i = 0; i < samples.size(); i++) {
      bySource.computeIfAbsent(samples.source(i), file -> new ArrayList<>()).add(i);
    }
    int number = 0;
    for (Map.Entry<Path, List<Integer>> entry : bySource.entrySet()) {
      Path source = entry.getKey();
      Path file =
          folder.resolve(
              "%05d-%s%s".formatted(number++, source.getFileName(), TokenFile.EXTENSION));
      try (TokenFileWriter out = new TokenFileWriter(file)) {
        for (int i : entry.getValue()) {
          out.add(samples.number(i), samples.get(i));
        }
        InputStamp stamp = Objects.requireNonNull(stamps.get(source), "noted before");
        out.finish(
            new TokenFile.Description(
                source.toString(), stamp, encoder.identity(), parser.identity()));
      }
    }
  }

  private static void delete(Path folder) throws IOException {
    if (Files.exists(folder)) {
      try (Stream<Path> all = Files.walk(folder)) {
        for (Path file : all.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }
}
