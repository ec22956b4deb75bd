package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Tools in Chinese in place of the system prompt, a call as its name and below it its arguments as
 * Python writes them; the format of GLM-4.
 *
 * @param introduction stands before the tools
 */
record GlmFormat(String introduction) implements AgentFormat {
  /** Of the first GLM-4. */
  static final GlmFormat CHATGLM4 =
      new GlmFormat(
          "你是一个名为 GLM-4 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，你的任务是针对用户的问题和要求提供适当的答复和支持。\n\n");

  /** Of GLM-4-0414. */
  static final GlmFormat GLM4 = new GlmFormat("");

  @Override
  public Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    String list =
        tools.stream()
            .map(tool ->
                "## %s\n\n%s\n在调用上述函数时，请使用 Json 格式表示调用的参数。"
                    .formatted(tool.name(), PythonText.json(tool.function(), 4)))
            .collect(Collectors.joining("\n"));
    return new Briefing(introduction + "# 可用工具\n\n" + list, question);
  }

  @Override
  public String calls(List<ToolCall> calls) {
    return calls.stream()
        .map(call -> call.name() + "\n" + PythonText.str(call.arguments()))
        .collect(Collectors.joining("<|assistant|>", "", "<|observation|>"));
  }

  @Override
  public Results results(String answer, List<String> results, UnaryOperator<String> userTurn) {
    if (ReactFormat.Keywords.REACT.areIn(answer)) {
      return ReactFormat.Keywords.REACT.results(answer, results);
    }
    return new Results(
        "",
        results.stream().collect(Collectors.joining("<|observation|>\n", "\n", "<|assistant|>\n")));
  }
}
