package io.panatron.runtime.data;

import java.util.List;

/** Turns a conversation into text. Safe for use by several threads. */
public interface ChatTemplate {
  /**
   * Renders a conversation in parts, so that a loss mask can tell answers from context.
   *
   * @throws TemplateException if the template refuses the conversation, or its answers cannot be
   *     told from the rest
   */
  List<Piece> render(List<Message> messages);

  /** Renders a conversation with what invites the next answer, as {@code generate} needs it. */
  String renderPrompt(List<Message> messages);

  /** Everything that decides what is rendered: two templates with the same one are the same. */
  String identity();

  /** What this template is, for the start of a run. */
  String description();
}
