package io.panatron.runtime.generate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class AnswerTextTest {
  /** A token is a character. */
  private static String decode(int[] ids) {
    return new String(ids, 0, ids.length);
  }

  /** What is shown after each character, and after the end. */
  private static List<String> shown(String text, String... stops) {
    AnswerText answer = new AnswerText(AnswerTextTest::decode, List.of(stops));
    List<String> shown = new ArrayList<>();
    for (int c : text.codePoints().toArray()) {
      boolean stopped = answer.append(c);
      shown.add(answer.takeFresh());
      if (stopped) {
        break;
      }
    }
    answer.finish();
    shown.add(answer.takeFresh());
    assertThat(String.join("", shown)).isEqualTo(answer.text());
    return shown;
  }

  @Test
  void aStopStringOverSeveralTokensIsNeverShown() {
    assertThat(shown("abENDc", "END")).containsExactly("a", "b", "", "", "", "");
  }

  @Test
  void whatOnlyBeganLikeAStopStringIsShownLater() {
    assertThat(shown("aENEND", "END")).containsExactly("a", "", "", "EN", "", "", "");
    assertThat(shown("aEN", "END")).containsExactly("a", "", "", "EN");
  }

  @Test
  void theStopStringThatBeginsFirstCounts() {
    assertThat(shown("xabcd", "cd", "bcd")).containsExactly("x", "a", "", "", "", "");
    assertThat(shown("xab", "b", "ab")).containsExactly("x", "", "", "");
  }

  @Property
  void theTextEndsBeforeTheFirstStopString(
      @ForAll long seed, @ForAll @IntRange(min = 0, max = 30) int length) {
    Random random = new Random(seed);
    StringBuilder text = new StringBuilder();
    random.ints(length, 'a', 'd').forEach(text::appendCodePoint);
    String[] stops = {"abc", "ba", "cca"};
    int first = text.length();
    int firstEnd = text.length();
    for (int end = 1; end <= text.length() && firstEnd == text.length(); end++) {
      for (String stop : stops) {
        if (text.substring(0, end).endsWith(stop)) {
          first = Math.min(first, end - stop.length());
          firstEnd = end;
        }
      }
    }
    assertThat(String.join("", shown(text.toString(), stops))).isEqualTo(text.substring(0, first));
  }
}
