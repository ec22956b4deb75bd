package io.panatron.runtime.data;

import org.jspecify.annotations.Nullable;

/**
 * One message of a conversation.
 *
 * @param role {@code system}, {@code user} or {@code assistant}; also {@code tool_call}, whose
 *     content is a call in JSON and part of the assistant's answer, and {@code tool}, the result of
 *     a call
 * @param loss the row's own word on whether the content is trained; null leaves it to the loss
 *     scale
 * @param lossScale the row's own loss weight of the content, where that is trained; null leaves it
 *     to the loss scale
 */
public record Message(
    String role, String content, @Nullable Boolean loss, @Nullable Float lossScale) {
  public Message(String role, String content, @Nullable Boolean loss) {
    this(role, content, loss, null);
  }

  public Message(String role, String content) {
    this(role, content, null);
  }

  public boolean isAssistant() {
    return role.equals("assistant");
  }

  /** Whether the message is the assistant's, a tool's call included. */
  public boolean isAnswer() {
    return isAssistant() || role.equals("tool_call");
  }
}
