package io.panatron.runtime.data.agent;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.jinja.PythonText;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A call of a tool.
 *
 * @param arguments a JSON value, almost always an object
 */
public record ToolCall(String name, Object arguments) {
  /**
   * Reads the content of a {@code tool_call} message: a JSON object with {@code name} and {@code
   * arguments} (or {@code parameters}), which may be JSON in a string.
   *
   * @throws AgentException if it is something else
   */
  public static ToolCall parse(String content) {
    JsonNode call = JsonValues.read(content);
    if (call == null || !call.isObject() || !call.path("name").isTextual()) {
      throw new AgentException(
          "a tool call that is not JSON such as {\"name\": \"add\", \"arguments\": {\"a\": 1}}");
    }
    JsonNode arguments =
        call.hasNonNull("arguments") ? call.get("arguments") : call.path("parameters");
    if (arguments.isTextual()) {
      arguments = JsonValues.read(arguments.textValue());
    }
    Object value = arguments == null ? null : JsonValues.of(arguments);
    if (value == null) {
      throw new AgentException(
          "a call of the tool '" + call.path("name").textValue() + "' without 'arguments' in JSON");
    }
    return new ToolCall(call.path("name").textValue(), value);
  }

  /** JSON as Python's json writes it. */
  public static String jsonText(JsonNode node) {
    return PythonText.json(JsonValues.of(node));
  }

  /**
   * The arguments by name.
   *
   * @throws AgentException if they are no object
   */
  Map<?, ?> fields() {
    if (arguments instanceof Map<?, ?> fields) {
      return fields;
    }
    throw new AgentException(
        "a call of the tool '" + name + "' whose 'arguments' are not a JSON object");
  }

  /** {@code {"name": ..., "arguments": ...}} as Python's json writes it. */
  String json(String argumentsKey) {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    map.put("name", name);
    map.put(argumentsKey, arguments);
    return PythonText.json(map);
  }
}
