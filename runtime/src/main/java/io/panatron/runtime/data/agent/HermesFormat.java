package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Tools, calls and results as JSON between tags, results in a message of the user; the format of
 * Hermes 2 Pro, Qwen2.5 and Qwen3.
 */
record HermesFormat() implements AgentFormat {
  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list =
        tools.stream().map(tool -> PythonText.json(tool.json())).collect(Collectors.joining("\n"));
    String text =
        """
        %s

        # Tools

        You may call one or more functions to assist with the user query.

        You are provided with function signatures within <tools></tools> XML tags:
        <tools>
        %s
        </tools>

        For each function call, return a json object with function name and arguments within \
        <tool_call></tool_call> XML tags:
        <tool_call>
        {"name": <function-name>, "arguments": <args-json-object>}
        </tool_call>\
        """
            .formatted(system == null ? "" : system, list);
    return new Briefing(text, question);
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream()
        .map(call -> "<tool_call>\n" + call.json("arguments") + "\n</tool_call>")
        .collect(Collectors.joining("\n"));
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    String text =
        results.stream()
            .map(result -> "<tool_response>\n" + result + "\n</tool_response>")
            .collect(Collectors.joining("\n"));
    return new Results("", userTurn.apply(text));
  }
}
