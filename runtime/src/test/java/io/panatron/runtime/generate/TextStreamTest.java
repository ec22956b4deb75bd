package io.panatron.runtime.generate;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.data.Fixtures;
import io.panatron.runtime.data.HfTokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class TextStreamTest {
  private static final String TEXT =
      "Grüße, 世界! \uD83D\uDC69\u200D\uD83D\uDE80 e\u0301 \uD83C\uDDE9\uD83C\uDDEA  two  spaces\n";

  private static HfTokenizer tokenizer;

  @BeforeAll
  static void open() {
    tokenizer = HfTokenizer.open(Fixtures.path("llama3"));
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  private static List<String> pieces(Function<int[], String> decode, int... ids) {
    TextStream stream = new TextStream(decode);
    List<String> pieces = new ArrayList<>();
    for (int id : ids) {
      pieces.add(stream.append(id));
    }
    pieces.add(stream.finish());
    return pieces;
  }

  private static String byteLevel(int[] ids) {
    return tokenizer.decode(ids, true);
  }

  @Test
  void noPieceHoldsHalfACharacter() {
    int[] ids = tokenizer.encode(TEXT);
    List<String> pieces = pieces(TextStreamTest::byteLevel, ids);
    assertThat(String.join("", pieces)).isEqualTo(TEXT);
    assertThat(pieces).noneMatch(piece -> piece.contains("\uFFFD"));
    assertThat(pieces.getLast()).isEmpty();
    assertThat(pieces.stream().filter(piece -> !piece.isEmpty()).count())
        .as("the text comes as it is made")
        .isGreaterThan(ids.length / 4);
    for (String piece : pieces) {
      assertThat(piece.codePoints().anyMatch(c -> c >= 0xD800 && c < 0xE000)).isFalse();
    }
  }

  @Test
  void piecesOfAnyTokensAreTheWholeText() {
    for (int seed = 0; seed < 300; seed++) {
      int[] ids = new Random(seed).ints(seed % 80, 0, tokenizer.vocabularySize()).toArray();
      assertThat(String.join("", pieces(TextStreamTest::byteLevel, ids)))
          .as("seed %s", seed)
          .isEqualTo(byteLevel(ids));
    }
  }

  @Test
  void brokenTextIsGivenOutInTheEndAndCostsNoMoreThanOtherText() {
    int half = tokenizer.encode("世")[0];
    assertThat(byteLevel(new int[] {half})).contains("\uFFFD");
    int[] ids = new int[400];
    Arrays.fill(ids, half);
    int[] decoded = {0};
    TextStream stream =
        new TextStream(part -> {
          decoded[0] += part.length;
          return byteLevel(part);
        });
    StringBuilder text = new StringBuilder();
    for (int id : ids) {
      text.append(stream.append(id));
    }
    assertThat(decoded[0]).as("tokens decoded, in all").isLessThan(400 * 100);
    text.append(stream.finish());
    assertThat(text.toString()).isEqualTo(byteLevel(ids));
  }

  /** Ids below 256 are bytes; a run of them that is no UTF-8 is all broken, as in Llama 2. */
  private static String byteFallback(int[] ids) {
    StringBuilder text = new StringBuilder();
    int i = 0;
    while (i < ids.length) {
      if (ids[i] >= 256) {
        text.append(i == 0 ? "w" : " w"); // the first word loses its blank
        i++;
        continue;
      }
      ByteBuffer run = ByteBuffer.allocate(ids.length);
      while (i < ids.length && ids[i] < 256) {
        run.put((byte) ids[i++]);
      }
      try {
        text.append(StandardCharsets.UTF_8.newDecoder().decode(run.flip()));
      } catch (CharacterCodingException e) {
        text.repeat("\uFFFD", run.limit());
      }
    }
    return text.toString();
  }

  @Test
  void wordsKeepTheirBlanksAndBytesBecomeCharacters() {
    int[] ids = {300, 300, 0xF0, 0x9F, 0x98, 0x80, 0xE2, 0x82, 0xAC, 300};
    assertThat(pieces(TextStreamTest::byteFallback, ids))
        .containsExactly("w", " w", "", "", "", "\uD83D\uDE00", "", "", "\u20AC", " w", "");
  }

  @Test
  void aCharacterThatTheDecoderTakesBackStaysGivenOut() {
    int[] ids = {300, 0xE2, 0x82, 0xAC, 0x80, 300, 300};
    assertThat(String.join("", pieces(TextStreamTest::byteFallback, ids)))
        .startsWith("w\u20AC")
        .endsWith("w w");
  }
}
