package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Tools, calls and results as JSON between Mistral's control words. */
record MistralFormat() implements AgentFormat {
  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list =
        tools.stream().map(tool -> PythonText.json(tool.json())).collect(Collectors.joining(" "));
    return new Briefing(
        (system == null ? "" : system) + "[AVAILABLE_TOOLS]" + list + "[/AVAILABLE_TOOLS]",
        question);
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream()
        .map(call -> call.json("arguments"))
        .collect(Collectors.joining("\n", "[TOOL_CALLS][\n", "\n]</s>"));
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    String text =
        results.stream()
            .map(result ->
                "[TOOL_RESULTS]" + PythonText.json(Map.of("content", result)) + "[/TOOL_RESULTS]")
            .collect(Collectors.joining("\n"));
    return new Results("", userTurn.apply(text));
  }
}
