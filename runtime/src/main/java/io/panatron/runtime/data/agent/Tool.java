package io.panatron.runtime.data.agent;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.jinja.PythonText;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A tool that a model may call.
 *
 * @param json its description as OpenAI writes it: {@code {"type": "function", "function": {"name":
 *     ..., "description": ..., "parameters": {...}}}}
 */
public record Tool(Map<String, @Nullable Object> json) {

  /**
   * Takes a description, with the outer object or without it.
   *
   * @throws AgentException if it is no JSON object
   */
  public static Tool of(JsonNode node) {
    if (!node.isObject()) {
      throw new AgentException("a tool that is not a JSON object");
    }
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    if (node.has("type") || node.has("function")) {
      node.properties().forEach(e -> json.put(e.getKey(), JsonValues.of(e.getValue())));
    } else {
      json.put("type", "function");
      json.put("function", JsonValues.of(node));
    }
    return new Tool(Collections.unmodifiableMap(json));
  }

  /**
   * Takes several descriptions: a list, one alone, or JSON text of these.
   *
   * @throws AgentException if they are something else
   */
  public static List<Tool> list(JsonNode node) {
    JsonNode value = read(node);
    if (!value.isArray()) {
      return value.isMissingNode() ? List.of() : List.of(of(value));
    }
    List<Tool> tools = new ArrayList<>();
    value.forEach(item -> tools.add(of(read(item))));
    return tools;
  }

  /** What a text says in JSON, nothing if it is blank; every other value as it is. */
  private static JsonNode read(JsonNode node) {
    if (!node.isTextual()) {
      return node;
    }
    JsonNode value = JsonValues.read(node.textValue());
    if (value == null) {
      throw new AgentException("text that is not valid JSON");
    }
    return value;
  }

  /** The inner object. */
  Map<?, ?> function() {
    return json.containsKey("type") && json.get("function") instanceof Map<?, ?> inner
        ? inner
        : json;
  }

  /** The name that the model calls it by. */
  String name() {
    Object name = function().get("name_for_model");
    return required(name == null || "".equals(name) ? function().get("name") : name, "name");
  }

  /** The name that the model is told beside the one to call it by. */
  String humanName() {
    return function().get("name_for_human") instanceof String s && !s.isEmpty() ? s : name();
  }

  String description() {
    Object text = function().get("description");
    return required(text == null ? function().get("description_for_model") : text, "description");
  }

  /** The schema of the parameters as JSON text; {@code {}} if there is none. */
  String parameters() {
    return switch (function().get("parameters")) {
      case null -> "{}";
      case String s when s.isEmpty() -> "{}";
      case String s -> s;
      case Object value -> PythonText.json(value);
    };
  }

  private static String required(@Nullable Object value, String what) {
    if (value instanceof String text) {
      return text;
    }
    throw new AgentException("a tool without a '" + what + "'");
  }
}
