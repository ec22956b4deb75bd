package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Hermes' tags without line ends, tools as blocks of JSON; the format of Youtu-LLM. */
record YoutuFormat() implements AgentFormat {
  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list =
        tools.stream()
            .map(tool -> "```json\n" + PythonText.json(tool.json()) + "\n```")
            .collect(Collectors.joining("\n"));
    String text =
        """
        <|begin_of_tool_description|>Tool calling capabilities.
        You may call one or more functions to assist with the user query. You have the following \
        functions available:
        %s
        For tool call returns, you MUST use the following format:
        <tool_call>{"name": "function-name", "arguments": {"param1": "value1", "param2": \
        "value2"}}</tool_call>
        <|end_of_tool_description|>\
        """
            .formatted(list);
    return new Briefing(
        (system == null || system.isEmpty() ? "" : system + "\n\n") + text, question);
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream()
        .map(call -> "<tool_call>" + call.json("arguments") + "</tool_call>")
        .collect(Collectors.joining());
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    String text =
        results.stream()
            .map(result -> "<tool_response>" + result + "</tool_response>")
            .collect(Collectors.joining("\n"));
    return new Results("", userTurn.apply(text));
  }
}
