package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Training samples in the order of streaming, epoch after epoch. Everything follows from the files,
 * the settings and how many samples have been taken, so a resumed run takes the samples of an
 * uninterrupted one, at the price of reading those before them again. For one thread.
 */
public final class SampleStream implements AutoCloseable {
  /** New samples after which the waiting are packed. Source: Megatron-SWIFT's streaming packing. */
  private static final int PACKING_WINDOW = 128;

  private final DataSettings settings;
  private final Streaming streaming;
  private final List<DatasetPath> paths;
  private final Map<String, RowParser> parsers = new HashMap<>();
  private final SampleEncoder encoder;
  private final DroppedRows dropped;
  private final int limit;
  private final @Nullable SequenceChoice choice;
  private final Deque<List<EncodedSample>> ready = new ArrayDeque<>();
  private final List<EncodedSample> unpacked = new ArrayList<>();
  private PackPlan.@Nullable Window window;
  private @Nullable StreamedRows rows;
  private int epoch = -1;
  private int unpackedSince;
  private long drawn;
  private boolean any;
  private boolean skipping;

  SampleStream(
      DataSettings settings,
      Streaming streaming,
      List<DatasetPath> paths,
      RowParser parser,
      SampleEncoder encoder,
      DroppedRows dropped) {
    this.settings = settings;
    this.streaming = streaming;
    this.paths = paths;
    for (DatasetPath path : paths) {
      parsers.put(path.given(), parser.with(settings.reading().columnsOf(path.given())));
    }
    this.encoder = encoder;
    this.dropped = dropped;
    this.limit = settings.maxLength() == null ? Integer.MAX_VALUE : settings.maxLength();
    this.choice = settings.sequenceChoice();
  }

  /** The sequences of the next sample, or null after the last epoch. */
  @Nullable List<EncodedSample> next() {
    while (ready.isEmpty()) {
      StreamedRows open = rows;
      if (open == null) {
        open = nextEpoch();
        if (open == null) {
          return null;
        }
      }
      StreamedRows.Located row = open.next();
      if (row == null) {
        endEpoch(open);
      } else {
        take(row);
      }
    }
    any = true;
    return ready.remove();
  }

  /** Passes over samples that were taken before, tokenizing only where the order depends on it. */
  void skip(long samples) {
    skipping = true;
    for (long i = 0; i < samples; i++) {
      if (next() == null) {
        break;
      }
    }
    skipping = false;
  }

  private @Nullable StreamedRows nextEpoch() {
    Integer last = streaming.maxEpochs();
    if (last != null && epoch + 1 >= last) {
      return null;
    }
    epoch++;
    StreamedRows opened =
        new StreamedRows(
            paths,
            settings.reading().mixing(),
            settings.datasetShuffle() ? streaming.shuffleBuffer() : 1,
            new TorchRandom(settings.dataSeed() + epoch));
    rows = opened;
    Packing packing = settings.reading().packing();
    window = packing == null ? null : new PackPlan.Window(settings.packingLength(packing));
    return opened;
  }

  private void endEpoch(StreamedRows ended) {
    ended.close();
    rows = null;
    if (window != null) {
      pack(window, true);
    }
    if (!any && ready.isEmpty()) {
      throw new UserError(
          "no training sample is left of --dataset "
              + String.join(" ", settings.dataset())
              + (dropped.total() == 0 ? " (no rows)" : " (" + dropped.summary() + ")")
              + "; mend the rows or raise --max_length");
    }
  }

  private void take(StreamedRows.Located located) {
    EncodedSample whole;
    try {
      Row row =
          Objects.requireNonNull(parsers.get(located.dataset())).parse(located.row().columns());
      whole = canSpare(row) ? new EncodedSample(new int[0], new float[0]) : encoder.encode(row);
    } catch (BadRow e) {
      drop(located, e);
      return;
    } catch (TemplateException e) {
      drop(located, new BadRow(BadRow.Kind.TEMPLATE, String.valueOf(e.getMessage())));
      return;
    }
    Truncation truncation = settings.truncation();
    int longest = whole.longest();
    int parts = longest <= limit ? 1 : truncation.parts(longest, limit);
    if (parts == 0 && epoch == 0) {
      dropped.add(
          BadRow.Kind.LENGTH,
          located.location() + " has " + longest + " tokens, more than --max_length " + limit);
    }
    for (int part = 0; part < parts; part++) {
      // A row that is passed over has no sequences to choose from, but counts as a draw.
      long draw = drawn++;
      if (choice == null) {
        add(truncation.part(whole, limit, part));
      } else {
        add(whole.parts() == null ? whole : choice.choose(whole, draw));
      }
    }
  }

  /** Whether a row that is only passed over makes exactly one sample, whatever its tokens are. */
  private boolean canSpare(Row row) {
    if (!skipping || window != null) {
      return false;
    }
    // Rendering shows what the template refuses, even where the length does not matter.
    boolean within = encoder.surelyWithin(row, limit);
    return within
        || settings.truncation() == Truncation.LEFT
        || settings.truncation() == Truncation.RIGHT;
  }

  private void drop(StreamedRows.Located located, BadRow why) {
    String reason = located.location() + " " + why.reason();
    if (settings.strict()) {
      throw new UserError(reason + " (--strict false would leave such rows out)");
    }
    if (epoch == 0) {
      dropped.add(why.kind(), reason);
    }
  }

  private void add(EncodedSample sample) {
    PackPlan.Window packs = window;
    if (packs == null) {
      ready.add(sample.sequences());
      return;
    }
    packs.add(unpacked.size(), room(sample));
    unpacked.add(sample);
    // Without those that wait since the last time, of which there may be many.
    if (++unpackedSince >= PACKING_WINDOW) {
      pack(packs, false);
    }
  }

  private int room(EncodedSample sample) {
    Packing packing = settings.reading().packing();
    return packing == null
        ? sample.length()
        : settings.lengthsInPacks(new int[] {sample.length()}, packing)[0];
  }

  private void pack(PackPlan.Window packs, boolean last) {
    unpackedSince = 0;
    for (int[] pack : packs.pack(last)) {
      List<EncodedSample> sequences = new ArrayList<>(pack.length);
      for (int i : pack) {
        sequences.addAll(unpacked.get(i).sequences());
      }
      ready.add(sequences);
    }
    // The items of the pack that waits get new numbers, so that the others can be forgotten.
    List<EncodedSample> waiting = new ArrayList<>();
    for (int i : packs.takeWaiting()) {
      waiting.add(unpacked.get(i));
    }
    unpacked.clear();
    for (EncodedSample sample : waiting) {
      packs.add(unpacked.size(), room(sample));
      unpacked.add(sample);
    }
  }

  @Override
  public void close() {
    if (rows != null) {
      rows.close();
      rows = null;
    }
  }
}
