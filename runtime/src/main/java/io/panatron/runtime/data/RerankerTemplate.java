package io.panatron.runtime.data;

import io.panatron.runtime.data.agent.Tool;
import java.util.ArrayList;
import java.util.List;

/**
 * The template of Qwen3-Reranker: an instruction, a query and a document as one question. The
 * system message is the instruction; what the model is asked stands in the format itself.
 *
 * <p>Source: Megatron-SWIFT's {@code Qwen3RerankerTemplate}.
 *
 * @param format writes the question
 */
record RerankerTemplate(ChatTemplate format) implements ChatTemplate {
  private static final String INSTRUCTION =
      "Given a web search query, retrieve relevant passages that answer the query";

  @Override
  public List<Piece> render(List<Message> messages, List<Tool> tools) {
    return List.of(Piece.context(renderPrompt(messages, tools)));
  }

  @Override
  public String renderPrompt(List<Message> messages, List<Tool> tools) {
    List<Message> turns = new ArrayList<>(messages);
    boolean instructed = turns.getFirst().role().equals("system");
    String instruction = instructed ? turns.removeFirst().content() : INSTRUCTION;
    if (turns.size() != 2) {
      throw new TemplateException(
          "has "
              + turns.size()
              + " messages, where --template qwen3_reranker takes a query and a document");
    }
    String question =
        "<Instruct>: %s\n<Query>: %s\n<Document>: %s"
            .formatted(instruction, turns.get(0).content(), turns.get(1).content());
    return format.renderPrompt(List.of(new Message("user", question)), tools);
  }

  @Override
  public String answerStart() {
    return format.answerStart();
  }

  @Override
  public List<String> endTexts() {
    return format.endTexts();
  }

  @Override
  public String identity() {
    return "reranker 1 " + format.identity();
  }

  @Override
  public String description() {
    return format.description();
  }
}
