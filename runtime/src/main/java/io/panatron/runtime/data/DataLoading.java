package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The opening of a run's data: which rows are good, in which order, and what was left out.
 *
 * <p>Opening parses every row once, so that bad rows are known before training. Unless tokens are
 * made or found before training, it tokenizes only rows that could exceed {@code max_length}. All
 * random choices come from one {@code TorchRandom(data_seed)} in this order: for each data set with
 * {@code #count}, a permutation of its good rows; for a split, a permutation of all rows (when data
 * sets are mixed, of the rows of each), whose first part is the validation set (both parts keep
 * file order); the draws of mixing; for {@code dataset_shuffle}, a permutation of the training
 * rows; the same for {@code val_dataset} counts and {@code val_dataset_shuffle}. Rows that are too
 * long are left out after that, so {@code max_length} does not change the order of the others.
 */
final class DataLoading {
  private static final String VALIDATION = "--val_dataset";
  private static final int ROWS_AT_ONCE = 128;

  private final DataSettings settings;
  private final SampleFiles files;
  private final SampleEncoder encoder;
  private final String template;
  private final DataIdentity identity = new DataIdentity();
  private final RowParser parser;
  private final TokenCache cache;
  private final TorchRandom random;
  private final DroppedRows dropped = new DroppedRows();
  private final List<String> notes = new ArrayList<>();
  private final BitSet tooLong = new BitSet();
  private final int limit;
  private final int threads;
  private long asked;

  DataLoading(DataSettings settings, SampleFiles files, SampleEncoder encoder, String template) {
    this.template = template;
    this.settings = settings;
    this.files = files;
    this.encoder = encoder;
    this.parser =
        new RowParser(
            settings.preTraining(),
            settings.system(),
            settings.reading().columns(),
            settings.reading().channels(),
            settings.reading().task());
    Tokens tokens = settings.reading().tokens();
    this.cache = new TokenCache(tokens.cache(), encoder, tokens.threads());
    this.threads = tokens.threads();
    this.random = new TorchRandom(settings.dataSeed());
    this.limit = settings.maxLength() == null ? Integer.MAX_VALUE : settings.maxLength();
  }

  DataPipeline load() {
    Streaming streaming = settings.reading().streaming();
    if (streaming != null) {
      return stream(streaming);
    }
    Tokens tokens = settings.reading().tokens();
    List<int[]> sets = read("--dataset", settings.dataset(), "--cached_dataset", tokens.training());
    int[] val = {};
    int[] train;
    Mixing mixing = settings.reading().mixing();
    if (mixing == null) {
      Split split = split(concatenated(sets));
      train = split.training();
      val = split.validation();
    } else {
      List<Split> splits = sets.stream().map(this::split).toList();
      train = mix(mixing, splits.stream().map(Split::training).toList());
      val = concatenated(splits.stream().map(Split::validation).toList());
    }
    if (settings.datasetShuffle()) {
      train = shuffle(train);
    }
    if (hasValidation()) {
      val = validation();
    } else if (settings.valDatasetShuffle()) {
      val = shuffle(val);
    }
    if (train.length == 0 && val.length > 0 && settings.splitDatasetRatio() > 0) {
      throw new UserError(
          "no training sample is left of --dataset "
              + String.join(" ", settings.dataset())
              + ", since --split_dataset_ratio "
              + settings.splitDatasetRatio()
              + " takes at least one row for validation and there is one only; give more rows, or"
              + " --split_dataset_ratio 0");
    }
    SampleSet training = samples(train);
    SampleSet validation = samples(val);
    if (training.size() == 0) {
      List<String> given = new ArrayList<>(settings.dataset());
      given.addAll(tokens.training());
      throw new UserError(
          "no training sample is left of --dataset "
              + String.join(" ", given)
              + (dropped.total() == 0 ? " (no rows)" : " (" + dropped.summary() + ")")
              + "; mend the rows or raise --max_length");
    }
    return new DataPipeline(
        files, pack(training), pack(validation), dropped, notes(), identity(), null);
  }

  /** Only the validation rows are read; the paths of the training rows are looked at. */
  private DataPipeline stream(Streaming streaming) {
    List<DatasetPath> paths =
        settings.dataset().stream()
            .map(name -> DatasetPath.parse("--dataset", name, settings.fetched()))
            .toList();
    for (DatasetPath path : paths) {
      noteFiles(path);
      noteColumns(path.given());
      path.files().forEach(identity::add);
      identity.end(path.count());
    }
    SampleSet validation = samples(hasValidation() ? validation() : new int[0]);
    return new DataPipeline(
        files,
        samples(new int[0]),
        pack(validation),
        dropped,
        notes(),
        identity(),
        () -> new SampleStream(settings, streaming, paths, parser, encoder, dropped));
  }

  private Map<String, String> identity() {
    return identity.of(settings, parser, template);
  }

  private boolean hasValidation() {
    return !settings.valDataset().isEmpty() || !settings.reading().tokens().validation().isEmpty();
  }

  private int[] validation() {
    List<String> cached = settings.reading().tokens().validation();
    int[] rows =
        concatenated(read(VALIDATION, settings.valDataset(), "--cached_val_dataset", cached));
    return settings.valDatasetShuffle() ? shuffle(rows) : rows;
  }

  private List<String> notes() {
    String tokens = cache.describe();
    if (tokens != null) {
      notes.add(tokens);
    }
    return notes;
  }

  private record Split(int[] training, int[] validation) {}

  private Split split(int[] rows) {
    if (settings.splitDatasetRatio() == 0 || rows.length == 0) {
      return new Split(rows, new int[0]);
    }
    int[] order = random.permutation(rows.length);
    int n = Math.max(1, (int) (rows.length * settings.splitDatasetRatio()));
    return new Split(
        pick(rows, Arrays.copyOfRange(order, n, order.length)),
        pick(rows, Arrays.copyOf(order, n)));
  }

  private static int[] pick(int[] from, int[] chosen) {
    int[] sorted = chosen.clone();
    Arrays.sort(sorted);
    return Arrays.stream(sorted).map(i -> from[i]).toArray();
  }

  private int[] mix(Mixing mixing, List<int[]> sets) {
    for (int i = 0; i < sets.size(); i++) {
      if (sets.get(i).length == 0) {
        throw new UserError(
            "--interleave_prob mixes data sets, but none of the rows of number "
                + (i + 1)
                + " can be used"
                + (dropped.total() == 0 ? "" : " (" + dropped.summary() + ")")
                + "; mend its rows or leave it out");
      }
    }
    return mixing.mix(sets, random);
  }

  private int[] shuffle(int[] list) {
    return Arrays.stream(random.permutation(list.length)).map(i -> list[i]).toArray();
  }

  private static int[] concatenated(List<int[]> all) {
    return all.stream().flatMapToInt(Arrays::stream).toArray();
  }

  /** The good rows of each data set, drawn by their counts. */
  private List<int[]> read(
      String option, List<String> given, String cachedOption, List<String> cached) {
    boolean validation = option.equals(VALIDATION);
    List<int[]> all = new ArrayList<>();
    for (String name : given) {
      DatasetPath path = DatasetPath.parse(option, name, settings.fetched());
      RowParser own = parser.with(settings.reading().columnsOf(name));
      all.add(good(path, path.files().stream().map(f -> open(f, own, validation))));
      if (!validation) {
        noteColumns(name);
        path.files().forEach(identity::add);
        identity.end(path.count());
      }
    }
    for (String name : cached) {
      DatasetPath path = DatasetPath.tokenized(cachedOption, name, validation);
      all.add(good(path, path.files().stream().map(f -> openTokens(f, path.names(f), validation))));
      if (!validation) {
        identity.end(path.count());
      }
    }
    return all;
  }

  private SampleFile open(Path file, RowParser own, boolean validation) {
    return settings.tokenizesFirst()
        ? cache.open(file, own, validation)
        : LazySampleFile.open(file, own, encoder, limit);
  }

  private void noteColumns(String dataset) {
    ColumnNames own = settings.reading().columnsOf().get(dataset);
    if (own != null) {
      identity.add(own);
    }
  }

  /** Whether the data file is still there, but with other content. */
  private static boolean isStale(TokenFile.Description made) {
    Path source = Path.of(made.source());
    return Files.exists(source) && !made.stamp().matches(source);
  }

  /**
   * Opens a tokenized file.
   *
   * @param named whether the user named the file itself and not the folder in which it lies
   */
  private SampleFile openTokens(Path file, boolean named, boolean validation) {
    boolean channels = settings.reading().channels();
    TokenFile tokens = TokenFile.open(file, channels);
    if (tokens == null || !tokens.description().encoder().equals(encoder.identity())) {
      if (tokens != null) {
        tokens.close();
      }
      throw new UserError(
          "the tokenized data "
              + file
              + (tokens == null
                  ? " are no such file of this version, or damaged"
                  : " were made with another tokenizer, template or --loss_scale")
              + "; make them again with --load_from_cache_file true");
    }
    if (!parser.readsAs(tokens.description().parser())) {
      tokens.close();
      throw new UserError(
          "the tokenized data "
              + file
              + " were made with another --system or --columns, or for another task; give"
              + " the same, or make them again with --load_from_cache_file true");
    }
    if (!named && isStale(tokens.description())) {
      tokens.close();
      throw new UserError(
          "the tokenized data "
              + file
              + " are older than "
              + tokens.description().source()
              + ", which has changed; make them again with --load_from_cache_file true, or name the"
              + " files to use rather than their folder");
    }
    if (channels && !RowParser.readsChannels(tokens.description().parser())) {
      tokens.close();
      throw new UserError(
          "the tokenized data "
              + file
              + " were made without --enable_channel_loss true and hold no channels; make them again"
              + " with it");
    }
    if (!validation) {
      identity.add(tokens.description());
    }
    return tokens;
  }

  private void noteFiles(DatasetPath path) {
    String taken = path.describe();
    if (taken != null) {
      notes.add(taken);
    }
  }

  private int[] good(DatasetPath path, Stream<SampleFile> opened) {
    noteFiles(path);
    asked += Math.max(path.count(), 0);
    if (asked > TorchRandom.MAX_PERMUTATION) {
      throw new UserError(
          path.given()
              + " asks for more rows than a run can put into an order, "
              + TorchRandom.MAX_PERMUTATION
              + " with those of the data sets before it; lower the number after '#'");
    }
    int first = files.size();
    opened.forEach(files::add);
    int[] good = inspect(first, files.size());
    return path.count() < 0 || good.length == 0 ? good : draw(good, (int) path.count());
  }

  /** The good ones of the rows in a range; the others are left out, or end the run. */
  private int[] inspect(int first, int end) {
    int[] good = new int[end - first];
    int[] next = {first, 0};
    OrderedWork.<List<Inspected>, RuntimeException>run(
        threads,
        () -> {
          int from = next[0];
          int to = Math.min(end, from + ROWS_AT_ONCE);
          next[0] = to;
          return from == to
              ? null
              : () ->
                  IntStream.range(from, to)
                      .mapToObj(row -> new Inspected(row, files.problem(row)))
                      .toList();
        },
        block -> {
          for (Inspected row : block) {
            if (row.problem() == null) {
              good[next[1]++] = row.row();
            } else {
              reject(row.row(), row.problem());
            }
          }
        });
    return Arrays.copyOf(good, next[1]);
  }

  private record Inspected(int row, @Nullable BadRow problem) {}

  private int[] draw(int[] good, int count) {
    int[] drawn = new int[count];
    int repeats = count / good.length;
    for (int i = 0; i < repeats * good.length; i++) {
      drawn[i] = good[i % good.length];
    }
    int[] order = random.permutation(good.length);
    for (int i = repeats * good.length; i < count; i++) {
      drawn[i] = good[order[i - repeats * good.length]];
    }
    return drawn;
  }

  private void reject(int row, BadRow problem) {
    String reason = files.location(row) + " " + problem.reason();
    if (settings.strict()) {
      throw new UserError(reason + " (--strict false would leave such rows out)");
    }
    dropped.add(problem.kind(), reason);
  }

  private SampleSet samples(int[] list) {
    Truncation truncation = settings.truncation();
    boolean counts = truncation == Truncation.DELETE || truncation == Truncation.SPLIT;
    int[] lengths =
        OrderedWork.ints(threads, counts ? list.length : 0, i -> files.lengthOver(list[i], limit));
    int[] rowOf = new int[list.length];
    int[] partOf = new int[list.length];
    int n = 0;
    for (int i = 0; i < list.length; i++) {
      int row = list[i];
      int length = counts ? lengths[i] : 0;
      int parts = length <= limit ? 1 : truncation.parts(length, limit);
      if (parts == 0 && !tooLong.get(row)) {
        // Once, however often #count repeats it.
        tooLong.set(row);
        dropped.add(
            BadRow.Kind.LENGTH,
            files.location(row) + " has " + length + " tokens, more than --max_length " + limit);
      }
      if (n + parts > rowOf.length) {
        rowOf = Arrays.copyOf(rowOf, Math.max(n + parts, n * 2));
        partOf = Arrays.copyOf(partOf, rowOf.length);
      }
      for (int part = 0; part < parts; part++) {
        rowOf[n] = row;
        partOf[n++] = part;
      }
    }
    SequenceChoice choice = settings.sequenceChoice();
    if (choice != null) {
      return new SequenceSamples(files, Arrays.copyOf(rowOf, n), choice);
    }
    return new RowSamples(
        files, Arrays.copyOf(rowOf, n), Arrays.copyOf(partOf, n), limit, truncation);
  }

  private SampleSet pack(SampleSet samples) {
    Packing packing = settings.reading().packing();
    return packing == null || samples.size() == 0
        ? samples
        : new PackedSamples(
            samples,
            PackCache.plan(
                settings.reading().tokens().cache(),
                settings.lengthsInPacks(samples.lengths(), packing),
                settings.packingLength(packing),
                packing.parts()));
  }
}
