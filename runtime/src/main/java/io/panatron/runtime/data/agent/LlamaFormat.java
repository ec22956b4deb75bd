package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Tools in the user's first message, calls as bare JSON, results in messages of the role {@code
 * tool}; the format of Llama 3 and 4.
 *
 * @param headerStart before a role
 * @param headerEnd after a role
 * @param turnEnd after a message
 */
record LlamaFormat(String headerStart, String headerEnd, String turnEnd) implements AgentFormat {
  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list =
        tools.stream()
            .map(tool -> PythonText.json(tool.json(), 4))
            .collect(Collectors.joining("\n\n"));
    String text =
        """
        Given the following functions, please respond with a JSON for a function call with its \
        proper arguments that best answers the given prompt.

        Respond in the format {"name": function name, "parameters": dictionary of argument name \
        and its value}. Do not use variables.

        %s

        %s\
        """
            .formatted(list, question);
    return new Briefing(system == null ? "" : system, text);
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream().map(call -> call.json("parameters")).collect(Collectors.joining("\n"));
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    String told =
        results.stream()
            .map(result -> header("tool") + result + turnEnd)
            .collect(Collectors.joining());
    return new Results("", turnEnd + told + header("assistant"));
  }

  private String header(String role) {
    return headerStart + role + headerEnd + "\n\n";
  }
}
