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
      Map.of(
          "system", "system",
          "user", "user",
          "human", "user",
          "assistant", "assistant",
          "gpt", "assistant",
          "bot", "assistant");
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
        messages.add(message(item, where, messages.isEmpty()));
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

  private static Message message(JsonNode item, String where, boolean first) throws BadRow {
    String given = text(first(item, List.of("role", "from")), "'role' of " + where);
    String role = ROLES.get(given);
    if (role == null) {
      throw bad("has the role '" + given + "' in " + where + "; use system, user or assistant");
    }
    if (role.equals("system") && !first) {
      throw bad("has a system message as " + where + "; only the first may be one");
    }
    JsonNode loss = item.path("loss");
    if (!loss.isMissingNode() && !loss.isNull() && !loss.isBoolean()) {
      throw bad("has a 'loss' in " + where + " that is not true or false");
    }
    return new Message(
        role,
        text(first(item, List.of("content", "value")), "'content' of " + where),
        loss.isBoolean() ? loss.booleanValue() : null,
        lossScale(item.path("loss_scale"), where));
  }

  private static @Nullable Float lossScale(JsonNode node, String where) throws BadRow {
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
    String text = node.textValue();
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
