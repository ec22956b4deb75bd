package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Hermes' tags with all calls and all results in a tag of their own; the format of Hunyuan. */
record HunyuanFormat() implements AgentFormat {
  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list =
        tools.stream().map(tool -> PythonText.json(tool.json())).collect(Collectors.joining("\n"));
    String text =
        """
        # Tools

        You may call one or more functions to assist with the user query.

        You are provided with function signatures within <tools></tools> XML tags:
        <tools>
        %s
        </tools>

        For function call returns, you should first print <tool_calls>For each function call, you \
        should return object like:
        <tool_call>function_name
        ```json
        function_arguments_in_json_format
        ```</tool_call>At the end of function call returns, you should print </tool_calls>\
        """
            .formatted(list);
    return new Briefing(
        (system == null || system.isEmpty() ? "" : system + "\n\n") + text, question);
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream()
        .map(call -> "<tool_call>\n" + call.json("arguments") + "\n</tool_call>")
        .collect(Collectors.joining("\n", "<tool_calls>\n", "\n</tool_calls>"));
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    String text =
        results.stream()
            .map(result -> "<tool_response>" + result + "</tool_response>")
            .collect(Collectors.joining("\n", "<tool_responses>", "</tool_responses>"));
    return new Results("", userTurn.apply(text));
  }
}
