package io.panatron.runtime.data.agent;

import io.panatron.runtime.data.jinja.PythonText;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The instructions of the formats with key words, letter for letter as models were trained on them,
 * slips included. Gaps are written {@code {{NAME}}}.
 *
 * <p>Source: Megatron-SWIFT's agent templates, which have them from ReAct, Qwen-Agent and
 * ToolBench.
 */
enum ReactWording {
  /** ReAct in English. */
  REACT_EN(
      Entries.REACT_TOOL_EN,
      """
      Answer the following questions as best you can. You have access to the following tools:

      {{TOOLS}}

      Use the following format:

      Question: the input question you must answer
      Thought: you should always think about what to do
      Action: the action to take, should be one of [{{NAMES}}]
      Action Input: the input to the action
      Observation: the result of the action
      ... (this Thought/Action/Action Input/Observation can be repeated zero or more times)
      Thought: I now know the final answer
      Final Answer: the final answer to the original input question

      Begin!
      """),
  /** ReAct in Chinese. */
  REACT_ZH(
      Entries.REACT_TOOL_ZH,
      """
      尽可能地回答以下问题。你可以使用以下工具:

      {{TOOLS}}

      请按照以下格式进行:

      Question: 需要你回答的输入问题
      Thought: 你应该总是思考该做什么
      Action: 需要使用的工具，应该是[{{NAMES}}]中的一个
      Action Input: 传入工具的内容
      Observation: 行动的结果
      ... (这个Thought/Action/Action Input/Observation可以重复N次)
      Thought: 我现在知道最后的答案
      Final Answer: 对原始输入问题的最终答案

      现在开始！
      """),
  /** ReAct with thoughts in tags. */
  REACT_GRPO(
      Entries.REACT_TOOL_EN,
      """
      A conversation for tool calling between User and Assistant. The user asks a question \
      which may be solved by calling tools, and the Assistant solves it. The assistant first \
      thinks about the reasoning process in the mind and then provides the user with the \
      answer. The reasoning process should be enclosed within <think> </think>tags and answer \
      should follow the ReACT format(Action:xxx
      Action Input:xxx), i.e., <think> reasoning process here </think> Action: action here
      Action Input: parameters here

      Answer the following questions as best as you can. You have access to the following tools:

      {{TOOLS}}

      Use the following format:

      <think>you should always think about what to do</think>
      Action: the action to take, should be one of [{{NAMES}}]
      Action Input: the input to the action
      Observation: the result of the action, given by the actual calling
      ... (this Thought/Action/Action Input/Observation can be repeated zero or more times)
      Final Answer: the final answer to the original input question

      Begin!
      """),
  /** The instructions of ToolBench. */
  TOOLBENCH(
      null,
      """
      You can use many tools(functions) to do the following task.
      First I will give you the task description, and your task start.
      At each step, you need to give your thought to analyze the status now and what to do \
      next, with a function call to actually execute your step. Your output should follow this \
      format:
      Thought:
      Action:
      Action Input:

      After the call, you will get the call result, and you are now in a new state.
      Then you will analyze your status now, then decide what to do next...
      After many (Thought-call) pairs, you finally perform the task, then you can give your \
      final answer.
      Remember:
      1.the state change is irreversible, you can't go back to one of the former state, if you \
      want to restart the task, say "I give up and restart".
      2.All the thought is short, at most in 5 sentence.
      3.You can do more then one try, so if your plan is to continuously try some conditions, \
      you can do one of the conditions per try.
      Let's Begin!
      Task description: You should use functions to help handle the real time user queries. \
      Remember:
      1.ALWAYS call "Finish" function at the end of the task. And the final answer should \
      contain enough information to show to the user,If you can't handle the task, or you find \
      that function calls always fail(the function is not valid now), use function \
      Finish->give_up_and_restart.
      2.Do not use origin tool names, use only subfunctions' names.
      Specifically, you have access to the following APIs: {{TOOLS}}\
      """),
  /** Qwen's own calls, in English. */
  QWEN_EN(
      Entries.QWEN_TOOL_EN,
      """
      {{SYSTEM}}

      # Tools

      ## You have access to the following tools:

      {{TOOLS}}

      ## When you need to call a tool, please insert the following command in your reply, which \
      can be called zero or multiple times according to your needs:

      ✿FUNCTION✿: The tool to use, should be one of [{{NAMES}}]
      ✿ARGS✿: The input of the tool
      ✿RESULT✿: Tool results
      ✿RETURN✿: Reply based on tool results. Images need to be rendered as ![](url)\
      """),
  /** Qwen's own calls, in Chinese. */
  QWEN_ZH(
      Entries.QWEN_TOOL_ZH,
      """
      {{SYSTEM}}

      # 工具

      ## 你拥有如下工具：

      {{TOOLS}}

      ## 你可以在回复中插入零次、一次或多次以下命令以调用工具：

      ✿FUNCTION✿: 工具名称，必须是[{{NAMES}}]之一。
      ✿ARGS✿: 工具输入
      ✿RESULT✿: 工具结果
      ✿RETURN✿: 根据工具结果进行回复，需将图片用![](url)渲染出来\
      """),
  /** Several of Qwen's own calls at once, in English. */
  QWEN_EN_PARALLEL(
      Entries.QWEN_TOOL_EN,
      """
      {{SYSTEM}}

      # Tools

      ## You have access to the following tools:

      {{TOOLS}}

      ## Insert the following command in your reply when you need to call N tools in parallel:

      ✿FUNCTION✿: The name of tool 1, should be one of [{{NAMES}}]
      ✿ARGS✿: The input of tool 1
      ✿FUNCTION✿: The name of tool 2
      ✿ARGS✿: The input of tool 2
      ...
      ✿FUNCTION✿: The name of tool N
      ✿ARGS✿: The input of tool N
      ✿RESULT✿: The result of tool 1
      ✿RESULT✿: The result of tool 2
      ...
      ✿RESULT✿: he result of tool N
      ✿RETURN✿: Reply based on tool results. Images need to be rendered as ![](url)\
      """),
  /** Several of Qwen's own calls at once, in Chinese. */
  QWEN_ZH_PARALLEL(
      Entries.QWEN_TOOL_ZH,
      """
      {{SYSTEM}}

      # 工具

      ## 你拥有如下工具：

      {{TOOLS}}

      ## 你可以在回复中插入以下命令以并行调用N个工具：

      ✿FUNCTION✿: 工具1的名称，必须是[{{NAMES}}]之一
      ✿ARGS✿: 工具1的输入
      ✿FUNCTION✿: 工具2的名称
      ✿ARGS✿: 工具2的输入
      ...
      ✿FUNCTION✿: 工具N的名称
      ✿ARGS✿: 工具N的输入
      ✿RESULT✿: 工具1的结果
      ✿RESULT✿: 工具2的结果
      ...
      ✿RESULT✿: 工具N的结果
      ✿RETURN✿: 根据工具结果进行回复，需将图片用![](url)渲染出来\
      """);

  /** How one tool of the list is described. */
  private static final class Entries {
    private static final String REACT_TOOL_EN =
        """
        {{NAME}}: Call this tool to interact with the {{HUMAN_NAME}} API. What is the \
        {{HUMAN_NAME}} API useful for? {{DESCRIPTION}} Parameters: {{PARAMETERS}} Format the \
        arguments as a JSON object.\
        """;
    private static final String REACT_TOOL_ZH =
        """
        {{NAME}}: 调用此工具与 {{HUMAN_NAME}} API 进行交互。{{HUMAN_NAME}} 有什么用？{{DESCRIPTION}} \
        输入参数：{{PARAMETERS}} 此工具的输入应为JSON对象。\
        """;
    private static final String QWEN_TOOL_EN =
        """
        ### {{HUMAN_NAME}}

        {{NAME}}: {{DESCRIPTION}} Parameters: {{PARAMETERS}} Format the arguments as a JSON \
        object.\
        """;
    private static final String QWEN_TOOL_ZH =
        """
        ### {{HUMAN_NAME}}

        {{NAME}}: {{DESCRIPTION}} 输入参数：{{PARAMETERS}} 此工具的输入应为JSON对象。\
        """;
  }

  private final @Nullable String entry;
  private final String text;

  /**
   * A wording.
   *
   * @param entry how one tool is described; null for a JSON list of all
   */
  ReactWording(@Nullable String entry, String text) {
    this.entry = entry;
    this.text = text;
  }

  /** The instructions for these tools. */
  String fill(List<Tool> tools, String system) {
    String form = entry;
    String list =
        form == null
            ? PythonText.json(tools.stream().map(Tool::function).toList())
            : tools.stream().map(tool -> entry(form, tool)).collect(Collectors.joining("\n\n"));
    String names =
        form == null ? "" : tools.stream().map(Tool::name).collect(Collectors.joining(","));
    return Gaps.fill(text, Map.of("SYSTEM", system, "TOOLS", list, "NAMES", names));
  }

  private static String entry(String form, Tool tool) {
    return Gaps.fill(
        form,
        Map.of(
            "NAME", tool.name(),
            "HUMAN_NAME", tool.humanName(),
            "DESCRIPTION", tool.description(),
            "PARAMETERS", tool.parameters()));
  }
}
