package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

/** The templates of embeddings and rerankers write what Megatron-SWIFT's guides show. */
class TaskTemplatesTest {
  private static String text(String template, Message... messages) {
    try (HfTokenizer tokenizer = Fixtures.tokenizer("qwen3")) {
      return Fixtures.template(template, tokenizer).renderPrompt(List.of(messages));
    }
  }

  @Test
  void anEmbeddingIsReadBehindItsText() {
    assertThat(text("qwen3_emb", new Message("user", "What is Qwen3-Embedding?")))
        .isEqualTo("What is Qwen3-Embedding?<|endoftext|>");
    assertThat(
            text("qwen3_emb", new Message("system", "Answer briefly."), new Message("user", "Q")))
        .isEqualTo("Answer briefly. Q<|endoftext|>");
  }

  @Test
  void aRerankerIsAskedAboutQueryAndDocument() {
    Message query = new Message("user", "Q");
    Message document = new Message("assistant", "D");
    String form =
        """
        <|im_start|>system
        Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>
        <|im_start|>user
        <Instruct>: %s
        <Query>: Q
        <Document>: D<|im_end|>
        <|im_start|>assistant
        <think>

        </think>

        """;
    assertThat(text("qwen3_reranker", query, document))
        .isEqualTo(
            form.formatted(
                "Given a web search query, retrieve relevant passages that answer the query"));
    assertThat(text("qwen3_reranker", new Message("system", "S"), query, document))
        .isEqualTo(form.formatted("S"));
    assertThatThrownBy(() -> text("qwen3_reranker", query))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("takes a query and a document");
  }
}
