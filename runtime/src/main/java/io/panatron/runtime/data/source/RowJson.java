package io.panatron.runtime.data.source;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import io.panatron.runtime.JsonProblem;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** JSON of rows: depth and sizes are limited, and nothing may follow a row. */
public final class RowJson {
  /** Longer rows are refused: they are a wrong file rather than a training row. */
  public static final int MAX_ROW_BYTES = 64 << 20;

  private static final int MAX_DEPTH = 64;

  static final ObjectMapper MAPPER =
      new ObjectMapper(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(MAX_DEPTH)
                          .maxStringLength(MAX_ROW_BYTES)
                          .build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  /** Reads one value and leaves what follows to the next call. */
  static final ObjectReader IN_SEQUENCE =
      MAPPER.reader().without(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private RowJson() {}

  /** Parses a text that is one JSON value. */
  public static JsonNode parse(String text) throws BadRow {
    try {
      return MAPPER.readTree(text);
    } catch (JsonProcessingException e) {
      throw new BadRow(BadRow.Kind.SYNTAX, "is not valid JSON: " + JsonProblem.of(e));
    }
  }

  static String utf8(ByteBuffer bytes) throws BadRow {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new BadRow(BadRow.Kind.SYNTAX, "is not valid UTF-8");
    }
  }

  /** A row of one column, as a line of a text file makes it. */
  static JsonNode text(String line) {
    return MAPPER.createObjectNode().put("text", line);
  }
}
