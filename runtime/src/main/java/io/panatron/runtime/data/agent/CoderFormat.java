package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Tools and calls as nested tags, one per parameter; the format of Qwen3-Coder. */
record CoderFormat() implements AgentFormat {
  private static final String DEFAULT_SYSTEM =
      "You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks.";
  private static final String INSTRUCTIONS =
      """
      </tools>

      If you choose to call a function ONLY reply in the following format with NO suffix:

      <tool_call>
      <function=example_function_name>
      <parameter=example_parameter_1>
      value_1
      </parameter>
      <parameter=example_parameter_2>
      This is the value for the second parameter
      that can span
      multiple lines
      </parameter>
      </function>
      </tool_call>

      <IMPORTANT>
      Reminder:
      - Function calls MUST follow the specified format: an inner <function=...></function> block \
      must be nested within <tool_call></tool_call> XML tags
      - Required parameters MUST be specified
      - You may provide optional reasoning for your function call in natural language BEFORE the \
      function call, but NOT after
      - If there is no function call available, answer the question like normal with your current \
      knowledge and do not tell the user about function calls
      </IMPORTANT>\
      """;

  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    StringBuilder text = new StringBuilder(system == null ? DEFAULT_SYSTEM : system);
    text.append("\n\n# Tools\n\nYou have access to the following functions:\n\n<tools>\n");
    tools.forEach(tool -> describe(tool, text));
    return new Briefing(text.append(INSTRUCTIONS).toString(), question);
  }

  private static void describe(Tool tool, StringBuilder text) {
    Map<?, ?> function = tool.function();
    text.append("<function>\n<name>").append(tool.name()).append("</name>");
    if (function.containsKey("description")) {
      text.append("\n<description>")
          .append(PythonText.strip(tool.description()))
          .append("</description>");
    }
    text.append("\n<parameters>");
    Object parameters = function.get("parameters");
    if (parameters instanceof Map<?, ?> schema) {
      if (schema.get("properties") instanceof Map<?, ?> properties) {
        properties.forEach((name, fields) -> parameter(name, fields, text));
      }
      others(schema, Set.of("type", "properties"), text);
    }
    text.append("\n</parameters>");
    others(function, Set.of("type", "name", "description", "parameters"), text);
    text.append("\n</function>\n");
  }

  private static void parameter(Object name, @Nullable Object fields, StringBuilder text) {
    text.append("\n<parameter>\n<name>").append(name).append("</name>");
    if (fields instanceof Map<?, ?> map) {
      if (map.containsKey("type")) {
        text.append("\n<type>").append(PythonText.str(map.get("type"))).append("</type>");
      }
      if (map.get("description") instanceof String description) {
        text.append("\n<description>")
            .append(PythonText.strip(description))
            .append("</description>");
      }
      others(map, Set.of("name", "type", "description"), text);
    }
    text.append("\n</parameter>");
  }

  private static void others(Map<?, ?> map, Set<String> handled, StringBuilder text) {
    map.forEach((key, value) -> {
      if (!handled.contains(key)) {
        text.append("\n<%s>%s</%s>".formatted(key, PythonText.json(value), key));
      }
    });
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream().map(CoderFormat::call).collect(Collectors.joining("\n"));
  }

  private static String call(ToolCall call) {
    StringBuilder text = new StringBuilder("<tool_call>\n<function=" + call.name() + ">\n");
    call.fields()
        .forEach((name, value) -> {
          String shown =
              value instanceof Map || value instanceof List
                  ? PythonText.json(value)
                  : PythonText.str(value);
          text.append("<parameter=%s>\n%s\n</parameter>\n".formatted(name, shown));
        });
    return text.append("</function>\n</tool_call>").toString();
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    String text =
        results.stream()
            .map(result -> "<tool_response>\n" + result + "\n</tool_response>\n")
            .collect(Collectors.joining());
    return new Results("", userTurn.apply(text));
  }
}
