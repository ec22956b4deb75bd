package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.JsonProblem;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Reads JSON files that strangers wrote: size, depth and number length are limited, a key may not
 * appear twice, and a mistake is one sentence naming file, line and column.
 *
 * <p>Numbers keep their decimal digits, so that a file can be copied with one key changed.
 */
public final class BoundedJson {
  private static final int MAX_DEPTH = 64;
  private static final ObjectMapper MAPPER = newMapper();

  private BoundedJson() {}

  private static ObjectMapper newMapper() {
    JsonFactory factory =
        JsonFactory.builder()
            .streamReadConstraints(
                StreamReadConstraints.builder()
                    .maxNestingDepth(MAX_DEPTH)
                    .maxNumberLength(400)
                    .maxNameLength(4096)
                    .build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();
    return JsonMapper.builder(factory)
        .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
        .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
        .build();
  }

  /**
   * Reads a file that must hold one JSON object.
   *
   * @param maxBytes the largest file accepted
   * @throws UserError where the file is missing, too large, not JSON, or not an object
   */
  public static ObjectNode readObject(Path file, long maxBytes) {
    byte[] bytes;
    try {
      long size = Files.size(file);
      if (size > maxBytes) {
        throw new UserError(
            "%s is %,d bytes long, more than the %,d a file of its kind may have."
                .formatted(file, size, maxBytes));
      }
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UserError("%s cannot be read: %s.".formatted(file, FileFailure.reason(e)), e);
    }
    return parseObject(bytes, file.toString());
  }

  /**
   * Parses bytes that must be one JSON object; {@code name} says in messages where they are from.
   */
  public static ObjectNode parseObject(byte[] bytes, String name) {
    try {
      JsonNode node = MAPPER.readTree(bytes);
      if (node instanceof ObjectNode object) {
        return object;
      }
      throw new UserError("%s must hold a JSON object { ... } but does not.".formatted(name));
    } catch (JsonProcessingException e) {
      JsonLocation at = e.getLocation();
      String where =
          at == null ? "" : " at line %d, column %d".formatted(at.getLineNr(), at.getColumnNr());
      throw new UserError(
          "%s is not valid JSON%s: %s.".formatted(name, where, JsonProblem.of(e)), e);
    } catch (IOException e) {
      throw new UserError("%s cannot be read: %s.".formatted(name, FileFailure.reason(e)), e);
    }
  }

  /** A new, empty object to fill and write. */
  static ObjectNode newObject() {
    return MAPPER.createObjectNode();
  }

  /** The object as UTF-8 JSON, indented for people. */
  static byte[] toIndentedBytes(ObjectNode object) {
    try {
      return (MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(object) + "\n")
          .getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a JSON tree could not be written", e);
    }
  }

  /** The object as UTF-8 JSON without blanks. */
  static byte[] toCompactBytes(ObjectNode object) {
    try {
      return MAPPER.writeValueAsBytes(object);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a JSON tree could not be written", e);
    }
  }
}
