package io.panatron.runtime.data;

import java.util.ArrayList;
import java.util.List;

/** ChatML: {@code <|im_start|>role\ncontent<|im_end|>\n} per message, no default system message. */
public final class ChatMlTemplate implements ChatTemplate {
  private static final String START = "<|im_start|>";
  private static final String END = "<|im_end|>\n";

  @Override
  public List<Piece> render(List<Message> messages) {
    List<Piece> pieces = new ArrayList<>();
    for (int i = 0; i < messages.size(); i++) {
      Message m = messages.get(i);
      String head = START + m.role() + "\n";
      if (m.isAssistant()) {
        pieces.add(Piece.context(head));
        pieces.add(new Piece(m.content(), Piece.Kind.RESPONSE, i));
        pieces.add(new Piece(END, Piece.Kind.SUFFIX, i));
      } else {
        pieces.add(Piece.context(head + m.content() + END));
      }
    }
    return pieces;
  }

  @Override
  public String renderPrompt(List<Message> messages) {
    StringBuilder text = new StringBuilder();
    for (Message m : messages) {
      text.append(START).append(m.role()).append('\n').append(m.content()).append(END);
    }
    return text.append(START).append("assistant\n").toString();
  }

  @Override
  public String identity() {
    return "chatml 1";
  }

  @Override
  public String description() {
    return "chatml (built in)";
  }
}
