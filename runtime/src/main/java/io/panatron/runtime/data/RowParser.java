package io.panatron.runtime.data;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.JsonProblem;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads one JSON row. Columns that are not needed are ignored; of a column given twice the last
 * counts, as in Python.
 */
final class RowParser {
  /** A row that cannot be used; the message completes "file:line ...". */
  static final class BadRow extends Exception {
    private static final long serialVersionUID = 1L;

    BadRow(String message) {
      super(message);
    }
  }

  private static final Set<String> ROLES = Set.of("system", "user", "assistant");
  private static final List<String> TEXT_COLUMNS =
      List.of("text", "content", "completion", "response");
  private static final int MAX_DEPTH = 64;

  private final ObjectMapper json =
      new ObjectMapper(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(MAX_DEPTH)
                          .maxStringLength(JsonlFile.MAX_LINE_BYTES)
                          .build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private final boolean preTraining;
  private final @Nullable String system;

  /**
   * Makes a parser.
   *
   * @param preTraining whether a row is text rather than a conversation
   * @param system put in front of conversations that have no system message
   */
  RowParser(boolean preTraining, @Nullable String system) {
    this.preTraining = preTraining;
    this.system = system;
  }

  Row parse(String line) throws BadRow {
    JsonNode row;
    try {
      row = json.readTree(line);
    } catch (JsonProcessingException e) {
      throw new BadRow("is not valid JSON: " + JsonProblem.of(e));
    }
    if (!row.isObject()) {
      throw new BadRow("is not a JSON object; a row looks like " + example());
    }
    return new Row(preTraining ? text(row) : conversation(row));
  }

  private String example() {
    return preTraining
        ? "{\"text\": \"...\"}"
        : "{\"messages\": [{\"role\": \"user\", \"content\": \"...\"}, {\"role\": \"assistant\","
            + " \"content\": \"...\"}]}";
  }

  private List<Message> text(JsonNode row) throws BadRow {
    if (row.has("messages")) {
      return messages(row.get("messages"));
    }
    for (String column : TEXT_COLUMNS) {
      JsonNode value = row.path(column);
      if (!value.isMissingNode()) {
        String text = string(value, "column '" + column + "'");
        if (text.isEmpty()) {
          throw new BadRow("has an empty column '" + column + "'");
        }
        return List.of(new Message("assistant", text));
      }
    }
    throw new BadRow("has no column 'text' or 'messages'; a row looks like " + example());
  }

  private List<Message> conversation(JsonNode row) throws BadRow {
    if (!row.has("messages")) {
      throw new BadRow("has no column 'messages'; a row looks like " + example());
    }
    List<Message> messages = messages(row.get("messages"));
    if (!messages.getLast().isAssistant()) {
      throw new BadRow(
          "ends with a message of '"
              + messages.getLast().role()
              + "'; the last must be 'assistant'");
    }
    if (system != null && !messages.getFirst().role().equals("system")) {
      messages.addFirst(new Message("system", system));
    }
    return messages;
  }

  private static List<Message> messages(JsonNode node) throws BadRow {
    if (!node.isArray() || node.isEmpty()) {
      throw new BadRow("has a column 'messages' that is not a list of messages");
    }
    List<Message> messages = new ArrayList<>();
    for (JsonNode m : node) {
      String where = "message " + (messages.size() + 1);
      if (!m.isObject()) {
        throw new BadRow("has a " + where + " that is not an object");
      }
      String role = string(m.path("role"), "'role' of " + where);
      if (!ROLES.contains(role)) {
        throw new BadRow(
            "has the role '" + role + "' in " + where + "; use system, user or assistant");
      }
      if (role.equals("system") && !messages.isEmpty()) {
        throw new BadRow("has a system message as " + where + "; only the first may be one");
      }
      JsonNode loss = m.path("loss");
      if (!loss.isMissingNode() && !loss.isNull() && !loss.isBoolean()) {
        throw new BadRow("has a 'loss' in " + where + " that is not true or false");
      }
      messages.add(
          new Message(
              role,
              string(m.path("content"), "'content' of " + where),
              loss.isBoolean() ? loss.booleanValue() : null));
    }
    return messages;
  }

  private static String string(JsonNode node, String what) throws BadRow {
    if (node.isMissingNode()) {
      throw new BadRow("lacks the " + what);
    }
    if (!node.isTextual()) {
      throw new BadRow("has a " + what + " that is not a string");
    }
    String text = node.textValue();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        if (!Character.isHighSurrogate(c)
            || i + 1 == text.length()
            || !Character.isLowSurrogate(text.charAt(++i))) {
          throw new BadRow("has half a surrogate pair in the " + what);
        }
      }
    }
    return text;
  }
}
