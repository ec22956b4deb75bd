package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Calls between key words in running text, as ReAct has them: {@code Action:}, {@code Action
 * Input:}, {@code Observation:}, after which the answer goes on.
 *
 * <p>Source: Yao et al., ReAct, arXiv 2210.03629, in the wordings of Megatron-SWIFT.
 */
record ReactFormat(Keywords keywords, ReactWording wording) implements AgentFormat {
  /** What stands before the name of a tool, its arguments and its result. */
  record Keywords(String action, String input, String observation) {
    static final Keywords REACT = new Keywords("Action:", "Action Input:", "Observation:");
    static final Keywords QWEN = new Keywords("✿FUNCTION✿:", "✿ARGS✿:", "✿RESULT✿:");

    /** Whether an answer calls tools with these words. */
    boolean areIn(String answer) {
      return answer.contains(action) && answer.contains(input);
    }

    Results results(String answer, List<String> results) {
      StringBuilder end = new StringBuilder();
      if (!answer.endsWith(observation)) {
        end.append(answer.endsWith("\n") ? "" : "\n").append(observation);
      }
      StringBuilder context = new StringBuilder();
      for (String result : results) {
        context.append(context.isEmpty() ? "" : observation).append(result);
        context.append(result.endsWith("\n") ? "" : "\n");
      }
      return new Results(end.toString(), context.toString());
    }
  }

  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    return new Briefing(wording.fill(tools, system == null ? "" : system), question);
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream()
        .map(call ->
            "%s %s\n%s %s\n"
                .formatted(
                    keywords.action(),
                    call.name(),
                    keywords.input(),
                    PythonText.str(call.arguments())))
        .collect(Collectors.joining("", "", keywords.observation()));
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    return keywords.areIn(answer)
        ? keywords.results(answer, results)
        : new Results("", String.join("", results));
  }
}
