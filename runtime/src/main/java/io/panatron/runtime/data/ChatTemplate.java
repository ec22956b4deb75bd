package io.panatron.runtime.data;

import io.panatron.runtime.data.agent.Tool;
import java.util.List;

/** Turns a conversation into text. Safe for use by several threads. */
public interface ChatTemplate {
  /**
   * Renders a conversation in parts, so that a loss mask can tell answers from context.
   *
   * @param tools what the model may call
   * @throws TemplateException if the template refuses the conversation, or its answers cannot be
   *     told from the rest
   */
  List<Piece> render(List<Message> messages, List<Tool> tools);

  /** Renders a conversation without tools. */
  default List<Piece> render(List<Message> messages) {
    return render(messages, List.of());
  }

  /** Renders a conversation with what invites the next answer, as {@code generate} needs it. */
  String renderPrompt(List<Message> messages, List<Tool> tools);

  /** Renders what invites the next answer of a conversation without tools. */
  default String renderPrompt(List<Message> messages) {
    return renderPrompt(messages, List.of());
  }

  /**
   * What {@link #renderPrompt} writes of the next answer itself, such as {@code <think>}; the
   * answer is this and what the model says.
   */
  default String answerStart() {
    return "";
  }

  /** Texts of tokens that end an answer besides the tokenizer's end token. */
  default List<String> endTexts() {
    return List.of();
  }

  /** Everything that decides what is rendered: two templates with the same one are the same. */
  String identity();

  /** Whether what is rendered depends on the time at which the template was made. */
  default boolean isDated() {
    return false;
  }

  /** What this template is, for the start of a run. */
  String description();
}
