package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AddedTokensTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String BPE =
      "{\"added_tokens\": [{\"id\": 9, \"content\": \"<old>\"}],"
          + " \"model\": {\"vocab\": {\"a\": 0, \"b\": 1}, \"score\": 0.10000000000000000055}}";

  @TempDir Path folder;

  private static JsonNode changed(AddedTokens added, String name, String json) throws IOException {
    Map<String, byte[]> files = added.changed(Map.of(name, json.getBytes(StandardCharsets.UTF_8)));
    assertThat(files).containsOnlyKeys(name);
    return JSON.readTree(files.get(name));
  }

  @Test
  void newTextsGetTheNextIdsAndKnownOnesKeepTheirs() {
    AddedTokens added = AddedTokens.to(BPE, List.of("<new>", "<old>", "b", "<more>"));
    assertThat(added.ids())
        .containsExactly(Map.entry("<new>", 10), Map.entry("b", 1), Map.entry("<more>", 11));
  }

  @Test
  void unigramVocabulariesCountTheirEntries() {
    String unigram = "{\"model\": {\"vocab\": [[\"a\", -1.5], [\"b\", -2.5]]}}";
    assertThat(AddedTokens.to(unigram, List.of("b", "<new>")).ids())
        .containsExactly(Map.entry("b", 1), Map.entry("<new>", 2));
  }

  @Test
  void everyFileThatNamesSpecialTokensNamesTheNewOnes() throws IOException {
    AddedTokens added = AddedTokens.to(BPE, List.of("<new>"));
    JsonNode tokenizer = changed(added, "tokenizer.json", BPE);
    assertThat(tokenizer.at("/added_tokens/0/content").asText()).isEqualTo("<old>");
    assertThat(tokenizer.at("/added_tokens/1").toString())
        .isEqualTo(
            "{\"id\":10,\"content\":\"<new>\",\"single_word\":false,\"lstrip\":false,"
                + "\"rstrip\":false,\"normalized\":false,\"special\":true}");
    assertThat(added.in(BPE)).as("numbers keep their digits").contains("0.10000000000000000055");

    JsonNode config =
        changed(
            added,
            "tokenizer_config.json",
            "{\"added_tokens_decoder\": {\"9\": {}}, \"additional_special_tokens\": [\"<old>\"]}");
    assertThat(config.at("/added_tokens_decoder/10/content").asText()).isEqualTo("<new>");
    assertThat(config.at("/added_tokens_decoder/10").has("id")).isFalse();
    assertThat(config.at("/additional_special_tokens").toString())
        .isEqualTo("[\"<old>\",\"<new>\"]");
    assertThat(
            changed(added, "tokenizer_config.json", "{\"extra_special_tokens\": [\"<old>\"]}")
                .toString())
        .isEqualTo("{\"extra_special_tokens\":[\"<old>\",\"<new>\"]}");
    assertThat(
            changed(added, "tokenizer_config.json", "{\"extra_special_tokens\": {\"x\": \"<x>\"}}")
                .toString())
        .isEqualTo(
            "{\"extra_special_tokens\":{\"x\":\"<x>\"},\"additional_special_tokens\":[\"<new>\"]}");
    assertThat(changed(added, "special_tokens_map.json", "{}").toString())
        .isEqualTo("{\"additional_special_tokens\":[\"<new>\"]}");
    assertThat(changed(added, "added_tokens.json", "{\"<old>\": 9}").toString())
        .isEqualTo("{\"<old>\":9,\"<new>\":10}");
    assertThat(added.changed(Map.of("merges.txt", new byte[0]))).isEmpty();
    assertThat(AddedTokens.to(BPE, List.of("<old>")).changed(Map.of("tokenizer.json", new byte[0])))
        .isEmpty();
  }

  @Test
  void aTextFileHasOneTokenALine() throws IOException {
    Path file = Files.writeString(folder.resolve("tokens.txt"), "\ufeff<a>\n\n  <b c> \n<a>\n<d>");
    assertThat(AddedTokens.texts(List.of("<z>", file.toString(), "<d>")))
        .containsExactly("<z>", "<a>", "<b c>", "<d>");
  }

  @Test
  void aTextFileWithoutTokensIsRefused() throws IOException {
    String empty = Files.writeString(folder.resolve("empty.txt"), " \n").toString();
    String missing = folder.resolve("missing.txt").toString();
    assertThatThrownBy(() -> AddedTokens.texts(List.of(empty)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--new_special_tokens " + empty + " holds no token");
    assertThatThrownBy(() -> AddedTokens.texts(List.of(missing)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--new_special_tokens " + missing + " cannot be read");
  }

  @Test
  void anAddedTokenIsOneTokenWhereverItStands() {
    try (HfTokenizer plain = Fixtures.tokenizer("qwen3");
        HfTokenizer tokenizer = HfTokenizer.open(plain.folder(), List.of("<tool>", "<|im_end|>"))) {
      assertThat(tokenizer.addedTokens().ids()).containsOnlyKeys("<tool>");
      int id = plain.vocabularySize();
      assertThat(tokenizer.vocabularySize()).isEqualTo(id + 1);
      assertThat(tokenizer.idOf("<tool>")).hasValue(id);
      assertThat(tokenizer.identity()).isNotEqualTo(plain.identity());
      int[] alone = plain.encode("call");
      int[] tagged = tokenizer.encode("call<tool>call");
      assertThat(tagged).hasSize(2 * alone.length + 1).contains(id);
      assertThat(tokenizer.decode(tagged, true)).isEqualTo("callcall");
      assertThat(tokenizer.decode(tagged, false)).isEqualTo("call<tool>call");
    }
  }
}
