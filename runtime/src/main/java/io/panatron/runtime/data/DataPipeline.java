package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The training and validation samples of a run.
 *
 * <p>Opening parses every row once, so that bad rows are known before training; it tokenizes only
 * rows that could exceed {@code max_length}. All random choices come from one {@code
 * TorchRandom(data_seed)} in this order: for each data set with {@code #count}, a permutation of
 * its good rows; for a split, a permutation of all rows, whose first part is the validation set
 * (both parts keep file order); for {@code dataset_shuffle}, a permutation of the training rows;
 * the same for {@code val_dataset} counts and {@code val_dataset_shuffle}. Rows that are too long
 * are left out after that, so {@code max_length} does not change the order of the others.
 */
public final class DataPipeline implements AutoCloseable {
  private final RowStore rows;
  private final SampleSet training;
  private final SampleSet validation;
  private final DroppedRows dropped;

  private DataPipeline(
      RowStore rows, SampleSet training, SampleSet validation, DroppedRows dropped) {
    this.rows = rows;
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
    RowStore rows =
        new RowStore(
            new RowParser(settings.preTraining(), settings.system(), settings.reading().columns()));
    try {
      SampleEncoder encoder =
          new SampleEncoder(
              tokenizer, template, settings.lossScale(), template instanceof PlainTemplate);
      return new Loading(settings, rows, encoder).load();
    } catch (RuntimeException | Error e) {
      rows.close();
      throw e;
    }
  }

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

  /** Closes the data files; every batch source must be closed before. */
  @Override
  public void close() {
    rows.close();
  }

  /** The state of opening: which rows are good, and what was dropped. */
  private static final class Loading {
    private final DataSettings settings;
    private final RowStore rows;
    private final SampleEncoder encoder;
    private final TorchRandom random;
    private final DroppedRows dropped = new DroppedRows();
    private byte[] within = {};

    Loading(DataSettings settings, RowStore rows, SampleEncoder encoder) {
      this.settings = settings;
      this.rows = rows;
      this.encoder = encoder;
      this.random = new TorchRandom(settings.dataSeed());
    }

    DataPipeline load() {
      int[] train = read("--dataset", settings.dataset());
      int[] val = {};
      if (settings.splitDatasetRatio() > 0 && train.length > 0) {
        int[] order = random.permutation(train.length);
        int n = Math.max(1, (int) (train.length * settings.splitDatasetRatio()));
        val = pick(train, Arrays.copyOf(order, n));
        train = pick(train, Arrays.copyOfRange(order, n, order.length));
      }
      if (settings.datasetShuffle()) {
        train = shuffle(train);
      }
      if (!settings.valDataset().isEmpty()) {
        val = read("--val_dataset", settings.valDataset());
      }
      if (settings.valDatasetShuffle()) {
        val = shuffle(val);
      }
      SampleSet training = samples(train);
      SampleSet validation = samples(val);
      if (training.size() == 0) {
        throw new UserError(
            "no training sample is left of --dataset "
                + String.join(" ", settings.dataset())
                + (dropped.total() == 0 ? " (no rows)" : " (" + dropped.summary() + ")")
                + "; mend the rows or raise --max_length");
      }
      return new DataPipeline(rows, training, validation, dropped);
    }

    private static int[] pick(int[] from, int[] chosen) {
      int[] sorted = chosen.clone();
      Arrays.sort(sorted);
      return Arrays.stream(sorted).map(i -> from[i]).toArray();
    }

    private int[] shuffle(int[] list) {
      return Arrays.stream(random.permutation(list.length)).map(i -> list[i]).toArray();
    }

    /** The good rows of some data sets, drawn by their counts. */
    private int[] read(String option, List<String> given) {
      List<int[]> all = new ArrayList<>();
      for (String name : given) {
        DatasetPath path = DatasetPath.parse(option, name);
        int first = rows.size();
        path.files().forEach(rows::add);
        int[] good = check(first, rows.size());
        all.add(path.count() < 0 || good.length == 0 ? good : draw(good, (int) path.count()));
      }
      return all.stream().flatMapToInt(Arrays::stream).toArray();
    }

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

    private int[] check(int from, int to) {
      within = Arrays.copyOf(within, to);
      int[] good = new int[to - from];
      int n = 0;
      for (int row = from; row < to; row++) {
        try {
          Row parsed = rows.read(row);
          Integer limit = settings.maxLength();
          // Rendering here also shows now what a template refuses.
          boolean fits = encoder.surelyWithin(parsed, limit == null ? Integer.MAX_VALUE : limit);
          within[row] = (byte) (limit == null || fits ? 1 : 0);
          good[n++] = row;
        } catch (BadRow e) {
          reject(row, e.kind(), e.reason());
        } catch (TemplateException e) {
          reject(row, BadRow.Kind.TEMPLATE, String.valueOf(e.getMessage()));
        }
      }
      return Arrays.copyOf(good, n);
    }

    private void reject(int row, BadRow.Kind kind, String why) {
      String reason = rows.location(row) + " " + why;
      if (settings.strict()) {
        throw new UserError(reason + " (--strict false would leave such rows out)");
      }
      dropped.add(kind, reason);
    }

    private SampleSet samples(int[] list) {
      int limit = settings.maxLength() == null ? Integer.MAX_VALUE : settings.maxLength();
      boolean measures =
          settings.truncation() == Truncation.DELETE || settings.truncation() == Truncation.SPLIT;
      int[] rowOf = new int[list.length];
      int[] partOf = new int[list.length];
      int n = 0;
      for (int row : list) {
        int parts = 1;
        if (measures && within[row] == 0) {
          int length = encoder.encode(rows.get(row)).length();
          if (settings.truncation() == Truncation.SPLIT) {
            parts = Math.ceilDiv(length, limit);
          } else if (length > limit) {
            dropped.add(
                BadRow.Kind.LENGTH,
                rows.location(row) + " has " + length + " tokens, more than --max_length " + limit);
            continue;
          }
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
      return new SampleSet(
          rows,
          encoder,
          Arrays.copyOf(rowOf, n),
          Arrays.copyOf(partOf, n),
          limit,
          settings.truncation());
    }
  }
}
