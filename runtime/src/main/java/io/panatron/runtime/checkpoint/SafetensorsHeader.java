package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import io.panatron.runtime.JsonProblem;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Parses the JSON header of a safetensors file and checks it against the bytes that follow.
 *
 * <p>The header comes from strangers: nothing in it is believed. Names are unique, types known,
 * {@code product(shape) * bytes(type)} equals the byte range without overflow, and the ranges tile
 * the data section without hole or overlap.
 *
 * <p>Source: the format description and the reference reader of the safetensors project.
 */
final class SafetensorsHeader {
  private static final int MAX_RANK = 16;
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(4)
                  .maxNumberLength(20)
                  .maxNameLength(4096)
                  .build())
          .build();

  /** Where one tensor lies; offsets count from the end of the header. */
  record Entry(String name, SafetensorsDtype dtype, long[] shape, long begin, long end) {}

  private final Path file;
  private final long dataBytes;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  private SafetensorsHeader(Path file, long dataBytes) {
    this.file = file;
    this.dataBytes = dataBytes;
  }

  /**
   * Parses a header.
   *
   * @param dataBytes how many bytes the file holds after the header
   * @throws UserError naming file and tensor where the header is wrong
   */
  static SafetensorsHeader parse(Path file, byte[] json, long dataBytes) {
    SafetensorsHeader header = new SafetensorsHeader(file, dataBytes);
    try (JsonParser parser = JSON.createParser(json)) {
      header.readAll(parser);
    } catch (JsonProcessingException e) {
      throw new UserError(
          "%s is not a readable safetensors file: its header is not valid JSON (%s)."
              .formatted(file, JsonProblem.of(e)),
          e);
    } catch (IOException e) {
      throw new UserError("%s cannot be read: %s.".formatted(file, FileFailure.reason(e)), e);
    }
    header.checkLayout();
    return header;
  }

  /** The tensors in the order of their bytes. */
  List<Entry> entries() {
    return List.copyOf(entries.values());
  }

  Map<String, String> metadata() {
    return metadata;
  }

  private void readAll(JsonParser parser) throws IOException {
    require(parser.nextToken() == JsonToken.START_OBJECT, "its header is not a JSON object");
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      parser.nextToken();
      if (name.equals("__metadata__")) {
        readMetadata(parser);
      } else {
        Entry entry = readEntry(parser, name);
        require(entries.put(name, entry) == null, "its header lists tensor " + name + " twice");
      }
    }
    require(parser.nextToken() == null, "its header goes on after the closing brace");
  }

  private void readMetadata(JsonParser parser) throws IOException {
    require(
        parser.currentToken() == JsonToken.START_OBJECT && metadata.isEmpty(),
        "__metadata__ must be one object of strings");
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      require(
          parser.nextToken() == JsonToken.VALUE_STRING,
          "__metadata__ must be one object of strings");
      metadata.put(key, parser.getText());
    }
  }

  private Entry readEntry(JsonParser parser, String name) throws IOException {
    requireOf(
        name, parser.currentToken() == JsonToken.START_OBJECT, "is not described by an object");
    SafetensorsDtype dtype = null;
    long[] shape = null;
    long[] offsets = null;
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (key) {
        case "dtype" -> {
          requireOf(name, dtype == null && value == JsonToken.VALUE_STRING, "has no single dtype");
          String text = parser.getText();
          dtype = SafetensorsDtype.ofHeaderName(text);
          requireOf(
              name,
              dtype != null,
              "has dtype %s, which is not one of %s"
                  .formatted(shortened(text), Arrays.toString(SafetensorsDtype.values())));
        }
        case "shape" -> {
          requireOf(name, shape == null, "has two shapes");
          shape = readLongs(parser, name, "shape", MAX_RANK);
        }
        case "data_offsets" -> {
          requireOf(name, offsets == null, "has two data_offsets");
          offsets = readLongs(parser, name, "data_offsets", 2);
        }
        default -> throw broken(name, "has the unknown key " + shortened(key));
      }
    }
    return checkedEntry(name, dtype, shape, offsets);
  }

  private Entry checkedEntry(
      String name,
      @Nullable SafetensorsDtype dtype,
      long @Nullable [] shape,
      long @Nullable [] offsets) {
    if (dtype == null || shape == null || offsets == null || offsets.length != 2) {
      throw broken(name, "needs dtype, shape and two data_offsets");
    }
    long begin = offsets[0];
    long end = offsets[1];
    requireOf(
        name,
        begin <= end && end <= dataBytes,
        "is said to lie at bytes %d to %d, but the file holds only %d bytes of data (cut off?)"
            .formatted(begin, end, dataBytes));
    long expected;
    try {
      expected = dtype.byteSize(shape);
    } catch (ArithmeticException e) {
      throw broken(name, "has the impossible shape " + Arrays.toString(shape));
    }
    requireOf(
        name,
        expected == end - begin,
        "of shape %s and dtype %s needs %d bytes, but its data_offsets span %d"
            .formatted(Arrays.toString(shape), dtype, expected, end - begin));
    return new Entry(name, dtype, shape, begin, end);
  }

  private long[] readLongs(JsonParser parser, String name, String key, int atMost)
      throws IOException {
    requireOf(
        name,
        parser.currentToken() == JsonToken.START_ARRAY,
        key + " must be a list of non-negative integers");
    List<Long> values = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      requireOf(
          name,
          parser.currentToken() == JsonToken.VALUE_NUMBER_INT
              && parser.getNumberType() != JsonParser.NumberType.BIG_INTEGER
              && parser.getLongValue() >= 0,
          key + " must be a list of non-negative integers");
      requireOf(name, values.size() < atMost, key + " has more than " + atMost + " entries");
      values.add(parser.getLongValue());
    }
    return values.stream().mapToLong(Long::longValue).toArray();
  }

  private void checkLayout() {
    List<Entry> sorted = new ArrayList<>(entries.values());
    sorted.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    entries.clear();
    long position = 0;
    for (Entry entry : sorted) {
      requireOf(
          entry.name,
          entry.begin == position,
          "starts at byte %d, but the tensor before it ends at %d (%s)"
              .formatted(entry.begin, position, entry.begin < position ? "overlap" : "hole"));
      position = entry.end;
      entries.put(entry.name, entry);
    }
    require(
        position == dataBytes,
        "its tensors end at byte %d, but %d bytes of data follow the header"
            .formatted(position, dataBytes));
  }

  private void require(boolean condition, String problem) {
    if (!condition) {
      throw new UserError(
          "%s is not a readable safetensors file: %s; fetch or save it again."
              .formatted(file, problem));
    }
  }

  private void requireOf(String tensor, boolean condition, String problem) {
    if (!condition) {
      throw broken(tensor, problem);
    }
  }

  private UserError broken(String tensor, String problem) {
    return new UserError(
        "%s is not a readable safetensors file: tensor %s %s; fetch or save it again."
            .formatted(file, shortened(tensor), problem));
  }

  private static String shortened(String text) {
    return text.length() <= 200 ? text : text.substring(0, 200) + "...";
  }
}
