package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Tools as JSON, calls as tags for each key and value; the format of GLM-4.5 and GLM-4.7.
 *
 * @param end between tags: a line end, or nothing
 */
record GlmTagFormat(String end) implements AgentFormat {
  static final GlmTagFormat GLM4_5 = new GlmTagFormat("\n");
  static final GlmTagFormat GLM4_7 = new GlmTagFormat("");

  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list =
        tools.stream()
            .map(tool -> PythonText.json(tool.json()) + "\n")
            .collect(Collectors.joining());
    String call =
        String.join(
            end,
            "<tool_call>{function-name}",
            "<arg_key>{arg-key-1}</arg_key>",
            "<arg_value>{arg-value-1}</arg_value>",
            "<arg_key>{arg-key-2}</arg_key>",
            "<arg_value>{arg-value-2}</arg_value>",
            "...",
            "</tool_call>");
    String text =
        """
        # Tools

        You may call one or more functions to assist with the user query.

        You are provided with function signatures within <tools></tools> XML tags:
        <tools>
        %s</tools>

        For each function call, output the function name and arguments within the following XML \
        format:
        %s\
        """
            .formatted(list, call);
    String prompt = system == null ? "" : PythonText.strip(system);
    String whole =
        prompt.isEmpty() ? (end.isEmpty() ? "\n" : "") + text : text + "<|system|>\n" + prompt;
    return new Briefing(whole, question);
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream().map(this::call).collect(Collectors.joining(end, "", "<|observation|>"));
  }

  private String call(ToolCall call) {
    StringBuilder text = new StringBuilder("<tool_call>").append(call.name()).append(end);
    call.fields()
        .forEach((key, value) ->
            text.append("<arg_key>%s</arg_key>%s".formatted(key, end))
                .append("<arg_value>%s</arg_value>%s".formatted(PythonText.str(value), end)));
    return text.append("</tool_call>").toString();
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    return new Results(
        "",
        results.stream()
            .map(result -> end + "<tool_response>" + end + result + end + "</tool_response>")
            .collect(Collectors.joining("", "", "<|assistant|>" + end)));
  }
}
