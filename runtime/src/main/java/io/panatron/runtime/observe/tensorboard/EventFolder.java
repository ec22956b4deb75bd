package io.panatron.runtime.observe.tensorboard;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What the event files of a folder say together, as TensorBoard reads them: a file is read up to
 * the first record that is not whole, and the start of a resumed run takes back what earlier files
 * said about its steps.
 */
public final class EventFolder {
  private final NavigableMap<String, NavigableMap<Long, Float>> scalars = new TreeMap<>();

  private EventFolder() {}

  /** Reads all files; a folder that does not exist holds nothing. */
  public static EventFolder read(Path folder) throws IOException {
    EventFolder events = new EventFolder();
    if (Files.isDirectory(folder)) {
      for (Path file : files(folder)) {
        events.add(Files.readAllBytes(file));
      }
    }
    return events;
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      return all.filter(file -> String.valueOf(file.getFileName()).contains("tfevents"))
          .sorted()
          .toList();
    }
  }

  /** The scalars by tag and step. */
  public NavigableMap<String, NavigableMap<Long, Float>> scalars() {
    return scalars;
  }

  private void add(byte[] file) {
    ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer record = RecordFrame.next(bytes);
    while (record != null) {
      try {
        event(new ProtobufReader(record));
      } catch (BufferUnderflowException | IllegalArgumentException e) {
        // A whole record, so somebody wrote it like this, in a version that is not known here.
        return;
      }
      record = RecordFrame.next(bytes);
    }
  }

  private void event(ProtobufReader event) {
    long step = 0;
    Map<String, Float> values = new TreeMap<>();
    boolean restarts = false;
    while (event.next()) {
      if (event.is(EventMessages.STEP, ProtobufWriter.VARINT)) {
        step = event.integer();
      } else if (event.is(EventMessages.SUMMARY, ProtobufWriter.BYTES)) {
        summary(event.message(), values);
      } else if (event.is(EventMessages.SESSION_LOG, ProtobufWriter.BYTES)) {
        restarts = starts(event.message());
      } else {
        event.skip();
      }
    }
    if (restarts) {
      long first = step;
      scalars.values().forEach(series -> series.tailMap(first, true).clear());
    }
    for (Map.Entry<String, Float> value : values.entrySet()) {
      scalars.computeIfAbsent(value.getKey(), tag -> new TreeMap<>()).put(step, value.getValue());
    }
  }

  private static boolean starts(ProtobufReader session) {
    boolean starts = false;
    while (session.next()) {
      if (session.is(EventMessages.SESSION_STATUS, ProtobufWriter.VARINT)) {
        starts = session.integer() == EventMessages.SESSION_START;
      } else {
        session.skip();
      }
    }
    return starts;
  }

  private static void summary(ProtobufReader summary, Map<String, Float> values) {
    while (summary.next()) {
      if (summary.is(EventMessages.SUMMARY_VALUE, ProtobufWriter.BYTES)) {
        value(summary.message(), values);
      } else {
        summary.skip();
      }
    }
  }

  private static void value(ProtobufReader value, Map<String, Float> values) {
    String tag = "";
    Float number = null;
    while (value.next()) {
      if (value.is(EventMessages.VALUE_TAG, ProtobufWriter.BYTES)) {
        tag = value.text();
      } else if (value.is(EventMessages.VALUE_SIMPLE, ProtobufWriter.FIXED32)) {
        number = value.floatNumber();
      } else {
        value.skip();
      }
    }
    put(values, tag, number);
  }

  /** Texts and images have no number. */
  private static void put(Map<String, Float> values, String tag, @Nullable Float number) {
    if (number != null) {
      values.put(tag, number);
    }
  }
}
