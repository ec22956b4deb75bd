package io.panatron.runtime.quickstart;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.data.ChatTemplate;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelFamily;
import java.nio.file.Path;
import java.time.ZonedDateTime;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class QuickstartModelTest {
  @TempDir private Path folder;

  @BeforeEach
  void write() throws Exception {
    QuickstartRecipe.standard().model().write(folder);
  }

  @Test
  void theConfigurationIsThatOfAQwen3() {
    ModelConfig config = ModelConfig.read(folder);
    assertThat(config.family()).isEqualTo(ModelFamily.QWEN3);
    assertThat(config.qkNorm()).isTrue();
    assertThat(config.tieWordEmbeddings()).isTrue();
    try (HfTokenizer tokenizer = HfTokenizer.open(folder)) {
      assertThat(config.vocabSize()).isEqualTo(tokenizer.vocabularySize());
      assertThat(config.eosTokenIds()).containsExactly(tokenizer.eosId().getAsInt());
      assertThat(config.padTokenId()).isEqualTo(tokenizer.padId().getAsInt());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "37 + 91 =",
        "reverse kilom",
        "naïve — 中文 🦙",
        "users sort\r\n\t x",
        "user-sort sorted"
      })
  void anyTextComesBackFromItsTokens(String text) {
    try (HfTokenizer tokenizer = HfTokenizer.open(folder)) {
      assertThat(tokenizer.decode(tokenizer.encode(text), false)).isEqualTo(text);
    }
  }

  @Test
  void lettersAndDigitsAreTokensOfTheirOwnAndWordsOnlyWhereTheyStandAlone() {
    try (HfTokenizer tokenizer = HfTokenizer.open(folder)) {
      assertThat(tokenizer.encode("739")).containsExactly('7', '3', '9');
      assertThat(tokenizer.encode("sort 73")).hasSize(4);
      assertThat(tokenizer.encode("resort")).hasSize(6);
    }
  }

  @Test
  void itsOwnTemplateIsChatMl() {
    try (HfTokenizer tokenizer = HfTokenizer.open(folder)) {
      List<Message> question = List.of(new Message("user", "37 + 91 ="));
      ChatTemplate own =
          ChatTemplates.choose(TemplateOptions.DEFAULT, tokenizer, "qwen3", ZonedDateTime.now());
      ChatTemplate chatml =
          ChatTemplates.choose(
              TemplateOptions.DEFAULT.withTemplate("chatml"),
              tokenizer,
              "qwen3",
              ZonedDateTime.now());
      assertThat(own.renderPrompt(question))
          .isEqualTo(chatml.renderPrompt(question))
          .isEqualTo("<|im_start|>user\n37 + 91 =<|im_end|>\n<|im_start|>assistant\n");
    }
  }
}
