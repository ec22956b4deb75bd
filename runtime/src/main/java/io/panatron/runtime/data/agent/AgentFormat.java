package io.panatron.runtime.data.agent;

import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A way of writing tools, calls and results into a conversation of text. Safe for use by several
 * threads.
 *
 * <p>Source: Megatron-SWIFT's agent templates.
 */
public sealed interface AgentFormat
    permits ReactFormat,
        HermesFormat,
        CoderFormat,
        LlamaFormat,
        MistralFormat,
        GlmFormat,
        GlmTagFormat,
        DeepSeekFormat,
        HunyuanFormat,
        YoutuFormat,
        SeedFormat {
  /**
   * What the model reads before it answers.
   *
   * @param system the system prompt; empty for none
   * @param question the first message of the user
   */
  record Briefing(String system, String question) {}

  /**
   * How results continue a conversation.
   *
   * @param answerEnd what the answer before them ends with in addition, and is trained with it
   * @param context the results and all else up to where the next answer starts
   */
  record Results(String answerEnd, String context) {}

  /**
   * Tells the model of its tools.
   *
   * @param system the system prompt; null if there is none
   * @throws AgentException if a tool lacks what the format needs
   */
  Briefing brief(List<Tool> tools, @Nullable String system, String question);

  /** The part of an answer that calls tools, one after the other. */
  String calls(List<ToolCall> calls);

  /**
   * Results of tools.
   *
   * @param answer the text of the answer before them
   * @param results at least one
   * @param userTurn the end of an answer and then a user's message with the given text, up to where
   *     the next answer starts
   */
  Results results(String answer, List<String> results, UnaryOperator<String> userTurn);
}
