package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Tools in the system prompt, calls and results between control words; DeepSeek V3.1's format. */
record DeepSeekFormat() implements AgentFormat {
  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list = tools.stream().map(DeepSeekFormat::describe).collect(Collectors.joining("\n\n"));
    String text =
        """
        %s

        ## Tools
        You have access to the following tools:

        %s

        IMPORTANT: ALWAYS adhere to this exact format for tool use:
        <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments\
        <｜tool▁call▁end｜>{additional_tool_calls}<｜tool▁calls▁end｜>

        Where:
        - `tool_call_name` must be an exact match to one of the available tools
        - `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema
        - For multiple tool calls, chain them directly without separators or spaces\
        """
            .formatted(system == null ? "" : system, list);
    return new Briefing(text, question);
  }

  private static String describe(Tool tool) {
    Map<?, ?> function = tool.function();
    Object parameters = function.containsKey("parameters") ? function.get("parameters") : Map.of();
    return "### %s\nDescription: %s\n\nParameters: %s"
        .formatted(tool.name(), description(function), PythonText.json(parameters));
  }

  private static String description(Map<?, ?> function) {
    return function.containsKey("description") ? PythonText.str(function.get("description")) : "";
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream()
        .map(call ->
            "<｜tool▁call▁begin｜>%s<｜tool▁sep｜>%s<｜tool▁call▁end｜>"
                .formatted(call.name(), PythonText.json(call.arguments())))
        .collect(Collectors.joining("", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"));
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    return new Results(
        "",
        results.stream()
            .map(result -> "<｜tool▁output▁begin｜>" + result + "<｜tool▁output▁end｜>")
            .collect(Collectors.joining("", "<｜end▁of▁sentence｜>", "")));
  }
}
