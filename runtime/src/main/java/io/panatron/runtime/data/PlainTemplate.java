package io.panatron.runtime.data;

import io.panatron.runtime.data.agent.Tool;
import java.util.ArrayList;
import java.util.List;

/**
 * {@code --use_chat_template false}: the contents alone, one after the other, each answer followed
 * by the tokenizer's end token. Pre-training text is one answer.
 *
 * @param end the end token's text
 */
public record PlainTemplate(String end) implements ChatTemplate {
  @Override
  public List<Piece> render(List<Message> messages, List<Tool> tools) {
    requireNone(tools);
    List<Piece> pieces = new ArrayList<>();
    for (int i = 0; i < messages.size(); i++) {
      Message m = messages.get(i);
      if (m.isAnswer()) {
        pieces.add(new Piece(m.content(), Piece.Kind.RESPONSE, i));
        pieces.add(new Piece(end, Piece.Kind.SUFFIX, i));
      } else {
        pieces.add(Piece.context(m.content()));
      }
    }
    return pieces;
  }

  @Override
  public String renderPrompt(List<Message> messages, List<Tool> tools) {
    requireNone(tools);
    StringBuilder text = new StringBuilder();
    for (Message m : messages) {
      text.append(m.content()).append(m.isAnswer() ? end : "");
    }
    return text.toString();
  }

  private static void requireNone(List<Tool> tools) {
    if (!tools.isEmpty()) {
      throw new TemplateException(
          "has 'tools', which plain text has no place for; use a chat template");
    }
  }

  @Override
  public String identity() {
    return "plain 1 " + end;
  }

  @Override
  public String description() {
    return "none (plain text)";
  }
}
