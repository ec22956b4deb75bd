package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.RowJson;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the column of a conversation: a list of {@code {"role", "content", "loss", "loss_scale"}},
 * of ShareGPT's {@code {"from", "value"}}, or of rounds like {@code {"human": ..., "assistant":
 * ...}}. In a CSV cell the list is a JSON text.
 */
final class MessageList {
  private static final Map<String, String> ROLES =
      Map.ofEntries(
          Map.entry("system", "system"),
          Map.entry("user", "user"),
          Map.entry("human", "user"),
          Map.entry("assistant", "assistant"),
          Map.entry("gpt", "assistant"),
          Map.entry("bot", "assistant"),
          Map.entry("tool_call", "tool_call"),
          Map.entry("function_call", "tool_call"),
          Map.entry("function-call", "tool_call"),
          Map.entry("tool", "tool"),
          Map.entry("tool_response", "tool"),
          Map.entry("function_response", "tool"),
          Map.entry("function-response", "tool"),
          Map.entry("observation", "tool"),
          Map.entry("observations", "tool"));
  private static final List<String> ASKING = List.of("user", "human");
  private static final List<String> ANSWERING = List.of("assistant", "gpt", "bot");

  private MessageList() {}

  /** The messages of a column; the list may be changed. */
  static List<Message> read(ColumnNames.Column column) throws BadRow {
    JsonNode list = unquoted(column);
    if (!list.isArray() || list.isEmpty()) {
      throw bad("has a column '" + column.name() + "' that is not a list of messages");
    }
    List<Message> messages = new ArrayList<>();
    int number = 1;
    for (JsonNode item : list) {
      String where = "message " + number++;
      if (!item.isObject()) {
        throw bad("has a " + where + " that is not an object");
      }
      if (isRound(item)) {
        messages.add(new Message("user", text(first(item, ASKING), "question of " + where)));
        messages.add(new Message("assistant", text(first(item, ANSWERING), "answer of " + where)));
      } else {
        add(messages, item, where);
      }
    }
    return messages;
  }

  /** A list, which may stand in quotes where a table has only texts. */
  static JsonNode unquoted(ColumnNames.Column column) throws BadRow {
    if (!column.value().isTextual()) {
      return column.value();
    }
    try {
      return RowJson.parse(column.value().textValue());
    } catch (BadRow e) {
      throw bad(
          "has a column '" + column.name() + "' that is not a list, as its text " + e.reason());
    }
  }

  private static boolean isRound(JsonNode item) {
    return first(item, List.of("role", "from", "content", "value")) == null
        && first(item, ASKING) != null
        && first(item, ANSWERING) != null;
  }

  /** Adds a message; OpenAI's {@code tool_calls} become messages of their own behind it. */
  private static void add(List<Message> messages, JsonNode item, String where) throws BadRow {
    JsonNode calls = item.path("tool_calls");
    boolean called = !calls.isMissingNode() && !calls.isNull() && !calls.isEmpty();
    JsonNode content = item.path("content");
    boolean silent = content.isMissingNode() || content.isNull() || content.asText().isEmpty();
    if (!called || !silent) {
      messages.add(message(item, where, messages.isEmpty()));
    }
    if (called) {
      for (String call : ToolMessages.calls(calls, where)) {
        messages.add(new Message("tool_call", call, loss(item, where), lossScale(item, where)));
      }
    }
    if (messages.getLast().role().equals("tool")
        && (messages.size() < 2 || !mayPrecedeTool(messages.get(messages.size() - 2)))) {
      throw bad("has a tool's response as " + where + ", before which nothing calls it");
    }
  }

  private static boolean mayPrecedeTool(Message message) {
    return message.isAnswer() || message.role().equals("tool");
  }

  private static Message message(JsonNode item, String where, boolean first) throws BadRow {
    String given = text(first(item, List.of("role", "from")), "'role' of " + where);
    String role = ROLES.get(given);
    if (role == null) {
      throw bad(
          "has the role '"
              + given
              + "' in "
              + where
              + "; use system, user, assistant, tool_call or tool");
    }
    if (role.equals("system") && !first) {
      throw bad("has a system message as " + where + "; only the first may be one");
    }
    JsonNode content = first(item, List.of("content", "value"));
    boolean ofTool = role.startsWith("tool");
    return new Message(
        role,
        ofTool
            ? ToolMessages.content(role, content, where)
            : text(content, "'content' of " + where),
        loss(item, where),
        lossScale(item, where));
  }

  private static @Nullable Boolean loss(JsonNode item, String where) throws BadRow {
    JsonNode loss = item.path("loss");
    if (!loss.isMissingNode() && !loss.isNull() && !loss.isBoolean()) {
      throw bad("has a 'loss' in " + where + " that is not true or false");
    }
    return loss.isBoolean() ? loss.booleanValue() : null;
  }

  private static @Nullable Float lossScale(JsonNode item, String where) throws BadRow {
    JsonNode node = item.path("loss_scale");
    if (node.isMissingNode() || node.isNull()) {
      return null;
    }
    float weight = node.isNumber() ? node.floatValue() : Float.NaN;
    if (!(weight >= 0 && Float.isFinite(weight))) {
      throw bad("has a 'loss_scale' in " + where + " that is not a number of at least 0");
    }
    return weight;
  }

  private static @Nullable JsonNode first(JsonNode item, List<String> names) {
    for (String name : names) {
      if (item.has(name)) {
        return item.get(name);
      }
    }
    return null;
  }

  /** A string without broken surrogate pairs, which no tokenizer takes. */
  static String text(@Nullable JsonNode node, String what) throws BadRow {
    if (node == null) {
      throw bad("lacks the " + what);
    }
    if (!node.isTextual()) {
      throw bad("has a " + what + " that is not a string");
    }
    return checked(node.textValue(), what);
  }

  /** The text itself, if it has no broken surrogate pair. */
  static String checked(String text, String what) throws BadRow {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        if (!Character.isHighSurrogate(c)
            || i + 1 == text.length()
            || !Character.isLowSurrogate(text.charAt(++i))) {
          throw bad("has half a surrogate pair in the " + what);
        }
      }
    }
    return text;
  }

  private static BadRow bad(String message) {
    return new BadRow(BadRow.Kind.CONTENT, message);
  }
}
