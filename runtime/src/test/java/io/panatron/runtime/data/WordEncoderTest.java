package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import org.junit.jupiter.api.Test;

/** The tokenizers library, given whole texts, is the oracle. */
class WordEncoderTest {
  private static final HfTokenizer ALONE = Fixtures.tokenizer("qwen3");
  private static final HfTokenizer BY_THREE = Fixtures.tokenizer("llama3");
  private static final HfTokenizer GPT2 = gpt2();

  @AfterContainer
  static void close() {
    ALONE.close();
    BY_THREE.close();
    GPT2.close();
  }

  /** A tokenizer with GPT-2's pattern. */
  private static HfTokenizer gpt2() {
    try {
      ObjectNode json =
          (ObjectNode) Fixtures.JSON.readTree(Fixtures.path("llama3/tokenizer.json").toFile());
      json.putObject("pre_tokenizer")
          .put("type", "ByteLevel")
          .put("add_prefix_space", false)
          .put("trim_offsets", true)
          .put("use_regex", true);
      Path folder = Files.createTempDirectory("gpt2");
      try {
        Files.writeString(folder.resolve("tokenizer.json"), json.toString());
        return HfTokenizer.open(folder);
      } finally {
        Files.delete(folder.resolve("tokenizer.json"));
        Files.delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static JsonNode json(String model) {
    try {
      return Fixtures.JSON.readTree(Fixtures.path(model + "/tokenizer.json").toFile());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static WordEncoder words(HfTokenizer tokenizer, String model) {
    WordRules rules = Objects.requireNonNull(WordRules.of(json(model)), "rules");
    return Objects.requireNonNull(
        WordEncoder.of(rules, text -> tokenizer.encodeWhole(text, false)), "encoder");
  }

  @Provide
  Arbitrary<String> texts() {
    return Arbitraries.of(
            "a",
            "Bc",
            " ",
            "  ",
            "\n",
            "\r",
            "\t",
            "1",
            "23",
            "456",
            "\u00b2",
            "\u2167",
            "'s",
            "'LL",
            "'Re",
            "'",
            "n't",
            "<|im_end|>",
            "<|im_",
            "|>",
            "<",
            "<|endoftext|>",
            "\u00e9",
            "e\u0301",
            "\u4e2d\u6587",
            "\ud83e\udd99",
            "\u00a0",
            "\u3000",
            "\u2028",
            "\u0085",
            "\u0000",
            ".",
            "?!",
            "-",
            "_",
            "\u017f",
            "\u0939\u093f",
            "\ud835\udfd8",
            "\uac00")
        .list()
        .ofMaxSize(14)
        .map(parts -> String.join("", parts));
  }

  @Property(tries = 3000)
  void tokensAreThoseOfTheWholeText(@ForAll("texts") String text) {
    for (HfTokenizer tokenizer : List.of(ALONE, BY_THREE, GPT2)) {
      assertThat(tokenizer.encode(text))
          .as("%s by %s", text, tokenizer.folder())
          .isEqualTo(tokenizer.encodeWhole(text, false));
    }
  }

  @Property(tries = 300)
  void tokensAreThoseOfAnyText(@ForAll String text) {
    String valid = text.replaceAll("[\ud800-\udfff]", "\u00df");
    assertThat(ALONE.encode(valid)).isEqualTo(ALONE.encodeWhole(valid, false));
  }

  /** No version of Unicode that the library may have makes a difference. */
  @Test
  void everyCharacterThatIsCoveredIsCutAlike() {
    WordEncoder words = words(BY_THREE, "llama3");
    List<String> differing = new ArrayList<>();
    int covered = 0;
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      String one = Character.toString(c);
      String text = "a" + one + "1" + one + " " + one + "\n'" + one + "'l" + one;
      int[] ids = words.encode(text);
      if (ids != null) {
        covered++;
        if (!Arrays.equals(ids, BY_THREE.encodeWhole(text, false))) {
          differing.add(Integer.toHexString(c));
        }
      }
    }
    assertThat(differing).isEmpty();
    assertThat(covered).isGreaterThan(100_000);
  }

  @Test
  void textsThatNormalisationChangesGoToTheLibraryWhole() {
    assertThat(words(ALONE, "qwen3").encode("e\u0301")).isNull();
    assertThat(words(BY_THREE, "llama3").encode("e\u0301")).as("without a normalizer").isNotNull();
    assertThat(words(ALONE, "qwen3").encode("\u017f")).as("a long s").isNull();
    assertThat(words(ALONE, "qwen3").encode("\ud800")).as("half a pair").isNull();
  }

  @Test
  void otherTokenizersSeeWholeTexts() throws IOException {
    String json = Files.readString(Fixtures.path("qwen3/tokenizer.json"));
    for (String change :
        List.of(
            "pre_tokenizer|pretokenizers|0|behavior|Removed",
            "pre_tokenizer|pretokenizers|0|pattern|{\"Regex\": \"\\\\p{L}+\"}",
            "pre_tokenizer|pretokenizers|1|add_prefix_space|true",
            "pre_tokenizer|pretokenizers|1|use_regex|true",
            "normalizer|type|NFKC",
            "model|dropout|0.1",
            "model|type|Unigram",
            "added_tokens|0|lstrip|true",
            "added_tokens|1|single_word|true",
            "added_tokens|2|normalized|true")) {
      ObjectNode tokenizer = (ObjectNode) Fixtures.JSON.readTree(json);
      assertThat(WordRules.of(tokenizer)).isNotNull();
      String[] path = change.split("\\|", -1);
      JsonNode at = tokenizer;
      for (int i = 0; i < path.length - 2; i++) {
        at = path[i].matches("\\d") ? at.path(Integer.parseInt(path[i])) : at.path(path[i]);
      }
      String value = path[path.length - 1];
      ((ObjectNode) at)
          .set(
              path[path.length - 2],
              Fixtures.JSON.readTree(value.matches("[A-Z].*") ? "\"" + value + "\"" : value));
      assertThat(WordRules.of(tokenizer)).as(change).isNull();
    }
  }

  @Test
  void newWordsTakeThePlaceOfOlderOnes() {
    WordCache cache = new WordCache();
    int words = 1 << 19;
    for (int i = 0; i < words; i++) {
      char[] word = ("w" + i).toCharArray();
      cache.put(word, 0, word.length, new int[] {i});
      assertThat(cache.get(word, 0, word.length)).containsExactly(i);
    }
    int kept = 0;
    for (int i = 0; i < words; i++) {
      char[] word = ("w" + i).toCharArray();
      int[] ids = cache.get(word, 0, word.length);
      if (ids != null) {
        assertThat(ids).containsExactly(i);
        kept++;
      }
    }
    assertThat(kept).isBetween(1 << 17, 1 << 18);
  }
}
