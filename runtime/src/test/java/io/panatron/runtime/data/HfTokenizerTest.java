package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.lifecycle.AfterContainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HfTokenizerTest {
  private static final HfTokenizer QWEN3 = Fixtures.tokenizer("qwen3");

  @AfterContainer
  static void close() {
    QWEN3.close();
  }

  @TempDir Path folder;

  private HfTokenizer with(String config) throws IOException {
    Files.copy(Fixtures.path("qwen3/tokenizer.json"), folder.resolve("tokenizer.json"));
    Files.writeString(folder.resolve("tokenizer_config.json"), config);
    return HfTokenizer.open(folder);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "plain", "naïve façade — 中文 🦙👩‍👩‍👧", "a\u0000b", "\n\n  \t"})
  void decodingGivesTheTextBack(String text) {
    try (HfTokenizer tokenizer = Fixtures.tokenizer("qwen2")) {
      assertThat(tokenizer.decode(tokenizer.encode(text), false)).isEqualTo(text);
    }
  }

  @Test
  void specialTokensInTextAreRecognisedAndNoneAreAdded() {
    try (HfTokenizer tokenizer = Fixtures.tokenizer("qwen3")) {
      assertThat(tokenizer.encode("<|im_start|><|im_end|>")).containsExactly(374, 375);
      assertThat(tokenizer.decode(new int[] {374, 375}, true)).isEmpty();
      assertThat(tokenizer.eosId()).hasValue(375);
      assertThat(tokenizer.padId()).hasValue(373);
      assertThat(tokenizer.bosId()).isEmpty();
      assertThat(tokenizer.vocabularySize()).isEqualTo(376);
    }
  }

  @Property(tries = 300)
  void theBoundHolds(@ForAll String text) {
    String valid = text.replaceAll("[\ud800-\udfff]", "\u0958");
    assertThat(QWEN3.encode(valid).length).isLessThanOrEqualTo(QWEN3.maxTokens(valid));
  }

  @Test
  void theBoundHoldsWhereNormalisationLengthensText() {
    try (HfTokenizer tokenizer = Fixtures.tokenizer("qwen3")) {
      String grows = "\u0958\u0344\u0390\u1f82".repeat(50);
      assertThat(tokenizer.encode(grows).length).isLessThanOrEqualTo(tokenizer.maxTokens(grows));
    }
  }

  @Test
  void tokensMayBeObjectsAndTemplatesAList() throws IOException {
    try (HfTokenizer tokenizer =
        with(
            """
            {"eos_token": {"content": "<|im_end|>"}, "bos_token": "<|endoftext|>", "add_bos_token": true,
             "chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}],
             "added_tokens_decoder": {"380": {"content": "<|more|>"}}}\
            """)) {
      assertThat(tokenizer.eosId()).hasValue(375);
      assertThat(tokenizer.bosId()).hasValue(373);
      assertThat(tokenizer.padId()).hasValue(375);
      assertThat(tokenizer.beginText()).isEqualTo("<|endoftext|>");
      assertThat(tokenizer.chatTemplate()).isEqualTo("d");
      assertThat(tokenizer.vocabularySize()).isEqualTo(381);
    }
  }

  @Test
  void plainTextBeginsWithWhatThePostProcessorPutsBeforeIt() throws IOException {
    String json = Files.readString(Fixtures.path("qwen3/tokenizer.json"));
    ObjectNode tokenizer = (ObjectNode) Fixtures.JSON.readTree(json);
    tokenizer.set(
        "post_processor",
        Fixtures.JSON.readTree(
            """
            {"type": "TemplateProcessing",
             "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
                        {"Sequence": {"id": "A", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
             "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [373],
                                                  "tokens": ["<|endoftext|>"]}}}\
            """));
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(config, "{\"bos_token\": \"<|im_start|>\"}");
    try (HfTokenizer asked = HfTokenizer.open(folder)) {
      assertThat(asked.beginText()).isEqualTo("<|endoftext|>");
    }
    Files.writeString(config, "{\"bos_token\": \"<|im_start|>\", \"add_bos_token\": false}");
    try (HfTokenizer told = HfTokenizer.open(folder)) {
      assertThat(told.beginText()).isEmpty();
    }
    Files.writeString(config, "{\"add_bos_token\": true}");
    try (HfTokenizer nameless = HfTokenizer.open(folder)) {
      assertThatThrownBy(nameless::beginText)
          .isInstanceOf(UserError.class)
          .hasMessageContaining("has add_bos_token but names no bos_token");
    }
  }

  @Test
  void aTemplateFileWinsOverTheConfig() throws IOException {
    Files.writeString(folder.resolve("chat_template.jinja"), "from file");
    try (HfTokenizer tokenizer = with("{\"chat_template\": \"from config\"}")) {
      assertThat(tokenizer.chatTemplate()).isEqualTo("from file");
    }
  }

  @Test
  void missingAndBrokenFilesAreUserErrors() throws IOException {
    assertThatThrownBy(() -> HfTokenizer.open(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("no tokenizer.json in " + folder);
    Path file = folder.resolve("tokenizer.json");
    Files.writeString(file, "{\"model\": ");
    assertThatThrownBy(() -> HfTokenizer.open(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("is not valid JSON at line 1");
    Files.writeString(file, "{}");
    assertThatThrownBy(() -> HfTokenizer.open(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("has no model.vocab");
    Files.writeString(file, "{\"model\": {\"type\": \"Nope\", \"vocab\": {}}}");
    assertThatThrownBy(() -> HfTokenizer.open(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("is refused by the tokenizers library");
    Files.write(file, new byte[] {'{', (byte) 0xff, '}'});
    assertThatThrownBy(() -> HfTokenizer.open(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("UTF-8");
  }

  @Test
  void useAfterCloseIsRefused() {
    HfTokenizer tokenizer = Fixtures.tokenizer("qwen2");
    tokenizer.close();
    tokenizer.close();
    assertThatThrownBy(() -> tokenizer.encode("x"))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }

  @Test
  void templatesAreChosenByName() throws IOException {
    try (HfTokenizer bare = with("{}")) {
      assertThat(Fixtures.template("chatml", bare))
          .extracting(ChatTemplate::description)
          .isEqualTo("chatml (built in)");
      assertThatThrownBy(() -> Fixtures.template(null, bare))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("such as --template qwen3");
      assertThatThrownBy(() -> Fixtures.template("qwen9", bare))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("--template qwen9 is not known; use one of chatml, default");
      assertThatThrownBy(() -> Fixtures.plain(bare))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("no end token");
    }
  }

  @Test
  void aBrokenChatTemplateIsAUserError() throws IOException {
    try (HfTokenizer tokenizer = with("{\"chat_template\": \"{% if %}\"}")) {
      assertThatThrownBy(() -> Fixtures.template(null, tokenizer))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("cannot be read (line 1: ");
    }
  }
}
