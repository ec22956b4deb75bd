package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.TemplateOptions.Backend;
import io.panatron.runtime.data.agent.Tool;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ChatTemplatesTest {
  @TempDir Path folder;

  private static final List<Message> QUESTION = List.of(new Message("user", "Q"));

  /** The tokenizer of a fixture with another Jinja template, or with none. */
  private HfTokenizer tokenizer(@Nullable String jinja) throws IOException {
    Files.copy(Fixtures.path("qwen2/tokenizer.json"), folder.resolve("tokenizer.json"));
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"eos_token\": \"<|im_end|>\"}");
    if (jinja != null) {
      String source = Files.readString(Fixtures.path("jinja/" + jinja + ".jinja"));
      Files.writeString(
          folder.resolve("chat_template.jinja"),
          // The fixture's own prompt is shorter than Qwen2.5's.
          source.replace(
              "You are Qwen, a helpful assistant.",
              "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."));
    }
    return HfTokenizer.open(folder);
  }

  private static ChatTemplate choose(TemplateOptions options, HfTokenizer tokenizer, String type) {
    return ChatTemplates.choose(options, tokenizer, type, Fixtures.NOW);
  }

  private static TemplateOptions options(
      @Nullable String template,
      Backend backend,
      @Nullable String agent,
      @Nullable Boolean thinking,
      @Nullable String prefix) {
    return new TemplateOptions(template, backend, true, agent, thinking, null, prefix, false);
  }

  @ParameterizedTest
  @CsvSource({
    "qwen25, qwen2, qwen2_5 (built in)",
    "qwen3, qwen3, qwen3 (built in)",
    "qwen3, llama, the tokenizer's chat template", // Qwen3's block of no thoughts
    "qwen25, llama, the tokenizer's chat template", // Qwen's own system prompt
    "mistral, mistral, the tokenizer's chat template",
  })
  void theModelsTemplateIsTheBuiltInOneThatWritesTheSame(
      String jinja, String modelType, String description) throws IOException {
    try (HfTokenizer tokenizer = tokenizer(jinja)) {
      assertThat(choose(TemplateOptions.DEFAULT, tokenizer, modelType).description())
          .isEqualTo(description);
    }
  }

  @Test
  void jinjaAsABackendIsTheTokenizersOwn() throws IOException {
    try (HfTokenizer tokenizer = tokenizer("qwen3")) {
      TemplateOptions jinja = options(null, Backend.JINJA, null, false, null);
      ChatTemplate own = choose(jinja, tokenizer, "qwen3");
      assertThat(own.description()).isEqualTo("the tokenizer's chat template");
      assertThat(own.renderPrompt(QUESTION))
          .endsWith("<|im_start|>assistant\n<think>\n\n</think>\n\n");
    }
  }

  @Test
  void jinjaTemplatesWriteToolsAsTheModelDoes() throws IOException {
    Tool add = new Tool(Map.of("type", "function", "function", Map.of("name", "add")));
    List<Message> messages =
        List.of(
            new Message("user", "1 + 2?"),
            new Message("assistant", "Well."),
            new Message("tool_call", "{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}"),
            new Message("tool", "3"),
            new Message("assistant", "It is 3."));
    try (HfTokenizer tokenizer = tokenizer("qwen3")) {
      ChatTemplate own = choose(options(null, Backend.JINJA, null, null, null), tokenizer, "qwen3");
      List<Piece> pieces = own.render(messages, List.of(add));
      assertThat(pieces.getFirst().text()).contains("<tools>\n{").contains("\"name\": \"add\"");
      assertThat(pieces.stream().filter(p -> p.kind() == Piece.Kind.RESPONSE).map(Piece::text))
          .containsExactly(
              "Well.\n<tool_call>\n{\"name\": \"add\", \"arguments\":"
                  + " {\"a\": 1, \"b\": 2}}\n</tool_call>",
              "<think>\n\n</think>\n\nIt is 3.");
      assertThat(pieces.stream().filter(p -> p.kind() == Piece.Kind.RESPONSE).map(Piece::message))
          .containsExactly(1, 4);
      assertThat(pieces.stream().filter(p -> p.text().contains("<tool_response>\n3")))
          .hasSize(1)
          .allMatch(p -> p.kind() == Piece.Kind.CONTEXT);
    }
  }

  @Test
  void whatTheTemplateCannotHeedIsRefused() throws IOException {
    try (HfTokenizer tokenizer = tokenizer("mistral")) {
      assertThatThrownBy(() ->
              choose(options(null, Backend.SWIFT, "hermes", null, null), tokenizer, "mistral"))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("--agent_template hermes has no effect on the tokenizer's own");
      assertThatThrownBy(
              () -> choose(options(null, Backend.SWIFT, null, null, "x"), tokenizer, "mistral"))
          .hasMessageContaining("--response_prefix x has no effect");
      assertThatThrownBy(
              () -> choose(options("llama3", Backend.SWIFT, null, null, null), tokenizer, "llama"))
          .hasMessageContaining("--template llama3 needs the special token <|begin_of_text|>");
      assertThatThrownBy(
              () -> choose(options("qwen3", Backend.SWIFT, "nope", null, null), tokenizer, "qwen3"))
          .hasMessageContaining("--agent_template nope is not supported; use one of react_en");
    }
    assertThatThrownBy(() -> options("qwen3", Backend.JINJA, null, null, null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("set one of them only");
    assertThatThrownBy(() -> Backend.parse("python"))
        .hasMessageContaining("--template_backend python is not known; use swift or jinja");
    assertThatThrownBy(
            () -> new TemplateOptions(null, Backend.SWIFT, false, null, true, null, null, false))
        .hasMessageContaining("--enable_thinking true has no meaning for plain text");
  }

  @Test
  void aTokenizerWithoutTemplateAsksForAName() throws IOException {
    try (HfTokenizer tokenizer = tokenizer(null)) {
      assertThatThrownBy(() -> choose(TemplateOptions.DEFAULT, tokenizer, "qwen2"))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("such as --template qwen2_5 or qwen or qwen2_5_math, or");
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void chatMlBeginsWhereTheTokenizerDoes(boolean begins) throws IOException {
    Files.copy(Fixtures.path("qwen2/tokenizer.json"), folder.resolve("tokenizer.json"));
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"eos_token\": \"<|im_end|>\", \"bos_token\": \"<|endoftext|>\", \"add_bos_token\": "
            + begins
            + "}");
    try (HfTokenizer tokenizer = HfTokenizer.open(folder)) {
      String chatml =
          choose(TemplateOptions.DEFAULT.withTemplate("chatml"), tokenizer, "qwen2")
              .renderPrompt(QUESTION);
      assertThat(chatml).startsWith(begins ? "<|endoftext|><|im_start|>" : "<|im_start|>");
      assertThat(
              choose(TemplateOptions.DEFAULT.withTemplate("qwen"), tokenizer, "qwen2")
                  .renderPrompt(QUESTION))
          .as("qwen never begins")
          .startsWith("<|im_start|>");
    }
  }

  @Test
  void aNewAnswerStartsAsTheTemplateOrThePrefixSays() throws IOException {
    try (HfTokenizer tokenizer = tokenizer(null)) {
      String asked = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n";
      for (Object[] c :
          new Object[][] {
            {"qwen3", null, null, ""},
            {"qwen3", true, null, ""},
            {"qwen3", false, null, "<think>\n\n</think>\n\n"},
            {"qwen3_thinking", null, null, "<think>\n"},
            {"qwen3_thinking", false, null, ""},
            {"qwen3_nothinking", true, null, ""},
            {"qwen3", false, "Yes, ", "Yes, "},
          }) {
        ChatTemplate template =
            choose(
                options((String) c[0], Backend.SWIFT, null, (Boolean) c[1], (String) c[2]),
                tokenizer,
                "qwen3");
        assertThat(template.answerStart()).isEqualTo(c[3]);
        assertThat(template.renderPrompt(QUESTION)).isEqualTo(asked + c[3]);
      }
    }
  }

  @Test
  void whatIsRenderedDecidesTheIdentity() throws IOException {
    try (HfTokenizer tokenizer = tokenizer(null)) {
      List<String> identities =
          List.of(
                  options("qwen3", Backend.SWIFT, null, null, null),
                  options("qwen3", Backend.SWIFT, "react_en", null, null),
                  options("qwen3", Backend.SWIFT, "react_zh", null, null),
                  options("qwen3", Backend.SWIFT, null, false, null),
                  options("qwen3_thinking", Backend.SWIFT, null, null, null),
                  new TemplateOptions("qwen3", Backend.SWIFT, true, null, null, false, null, false),
                  new TemplateOptions("qwen3", Backend.SWIFT, true, null, null, null, null, true))
              .stream()
              .map(options -> choose(options, tokenizer, "qwen3").identity())
              .toList();
      assertThat(identities).doesNotHaveDuplicates();
    }
  }

  @Test
  void endTokensAreKnownToGeneration() throws IOException {
    try (HfTokenizer tokenizer = tokenizer(null)) {
      assertThat(
              choose(TemplateOptions.DEFAULT.withTemplate("qwen3"), tokenizer, "qwen3").endTexts())
          .containsExactlyInAnyOrder("<|im_end|>", "<|endoftext|>");
    }
  }
}
