package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.agent.AgentException;
import io.panatron.runtime.data.agent.Tool;
import io.panatron.runtime.data.agent.ToolCall;
import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads what a row says of tools: the column {@code tools}, messages of the roles {@code tool_call}
 * and {@code tool}, and {@code tool_calls} of an assistant's message as OpenAI writes them.
 */
final class ToolMessages {
  private ToolMessages() {}

  /** The tools of a column: a list, one tool, or JSON text of these. */
  static List<Tool> tools(ColumnNames.Column column) throws BadRow {
    try {
      return Tool.list(column.value());
    } catch (AgentException e) {
      throw bad("has in column '" + column.name() + "' " + e.getMessage());
    }
  }

  /** The content of a call or a result, which may also be JSON that is not in quotes. */
  static String content(String role, @Nullable JsonNode node, String where) throws BadRow {
    String text =
        node == null || node.isTextual() || node.isNull()
            ? MessageList.text(node, "'content' of " + where)
            : json(node, where);
    if (role.equals("tool_call")) {
      requireCall(text, where);
    }
    return text;
  }

  private static String json(JsonNode node, String where) throws BadRow {
    try {
      return MessageList.checked(ToolCall.jsonText(node), "'content' of " + where);
    } catch (AgentException e) {
      throw bad("has in " + where + " " + e.getMessage());
    }
  }

  /** The calls of an assistant's message, each as the content of a {@code tool_call} message. */
  static List<String> calls(JsonNode list, String where) throws BadRow {
    if (!list.isArray()) {
      throw bad("has 'tool_calls' in " + where + " that are not a list");
    }
    List<String> contents = new ArrayList<>();
    for (JsonNode item : list) {
      contents.add(content("tool_call", item.has("function") ? item.get("function") : item, where));
    }
    return contents;
  }

  private static void requireCall(String text, String where) throws BadRow {
    try {
      ToolCall.parse(text);
    } catch (AgentException e) {
      throw bad("has in " + where + " " + e.getMessage());
    }
  }

  private static BadRow bad(String message) {
    return new BadRow(BadRow.Kind.CONTENT, message);
  }
}
