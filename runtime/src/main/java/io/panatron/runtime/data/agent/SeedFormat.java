package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Tools as signatures of Python with a description below, calls as nested tags; the format of
 * Seed-OSS.
 */
record SeedFormat() implements AgentFormat {
  private static final String NEXT = "<seed:eos><seed:bos>system";
  private static final Map<String, String> TYPES =
      Map.of(
          "string", "str", "number", "int", "integer", "int", "boolean", "bool", "array", "list");
  private static final String INSTRUCTIONS =
      """
      工具调用请遵循如下格式:
      <seed:tool_call>
      <function=example_function_name>
      <parameter=example_parameter_1>value_1</parameter>
      <parameter=example_parameter_2>This is the value for the second parameter
      that can span
      multiple lines</parameter>
      </function>
      </seed:tool_call>\
      """;

  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list = tools.stream().map(SeedFormat::describe).collect(Collectors.joining("\n\n"));
    String told = "\n\n" + list + "\n" + INSTRUCTIONS + "\n" + NEXT;
    int next = system == null ? -1 : system.indexOf(NEXT);
    String text =
        system != null && next >= 0
            ? system.substring(0, next) + told + system.substring(next + NEXT.length())
            : "You are Doubao, a helpful AI assistant. You may call one or more functions to assist"
                + " with the user query."
                + told
                + "\n"
                + (system == null ? "" : system);
    return new Briefing(text, question);
  }

  private static String describe(Tool tool) {
    Map<?, ?> function = tool.function();
    Map<?, ?> schema = map(function.get("parameters"));
    Map<?, ?> parameters = map(schema.get("properties"));
    String signature =
        parameters.entrySet().stream()
            .filter(parameter -> parameter.getValue() instanceof Map)
            .map(parameter -> parameter.getKey() + ": " + type(parameter.getValue()))
            .collect(Collectors.joining(","));
    List<String> lines = new ArrayList<>();
    lines.add("    \"\"\"");
    lines.add("    " + PythonText.strip(text(function)));
    if (!parameters.isEmpty()) {
      List<?> required = schema.get("required") instanceof List<?> names ? names : List.of();
      lines.add("\n    Args:");
      parameters.forEach((name, fields) -> {
        if (fields instanceof Map) {
          String mark = required.contains(name) ? "[必填]" : "[选填]";
          lines.add("    - %s (%s) %s: %s".formatted(name, type(fields), mark, text(fields)));
        }
      });
    }
    Map<?, ?> returned = map(map(function.get("returns")).get("properties"));
    if (!returned.isEmpty()) {
      lines.add("\n    Returns:");
      returned.forEach((name, fields) ->
          lines.add("    - %s (%s): %s".formatted(name, type(fields), text(fields))));
    }
    lines.add("\n    \"\"\"");
    return "Function:\ndef %s(%s):\n%s".formatted(tool.name(), signature, String.join("\n", lines));
  }

  private static Map<?, ?> map(@Nullable Object value) {
    return value instanceof Map<?, ?> map ? map : Map.of();
  }

  private static String type(@Nullable Object fields) {
    return map(fields).get("type") instanceof String name ? TYPES.getOrDefault(name, "Any") : "Any";
  }

  private static String text(@Nullable Object fields) {
    Map<?, ?> map = map(fields);
    return map.containsKey("description") ? PythonText.str(map.get("description")) : "";
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream().map(SeedFormat::call).collect(Collectors.joining("\n"));
  }

  private static String call(ToolCall call) {
    StringBuilder text = new StringBuilder("<seed:tool_call>\n<function=" + call.name() + ">\n");
    call.fields()
        .forEach((name, value) ->
            text.append(
                "<parameter=%s>%s</parameter>\n"
                    .formatted(name, value instanceof String s ? s : PythonText.json(value))));
    return text.append("</function>\n</seed:tool_call>").toString();
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    return new Results(
        "",
        results.stream()
            .map(result -> "<seed:bos>tool\n" + result + "<seed:eos>")
            .collect(Collectors.joining("", "<seed:eos>", "<seed:bos>assistant\n")));
  }
}
