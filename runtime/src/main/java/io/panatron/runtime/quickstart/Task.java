package io.panatron.runtime.quickstart;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/** The kinds of small tasks that the quickstart's model learns. */
public enum Task {
  /** {@code 37 + 91 =} is {@code 128}; both numbers have two digits. */
  ADDITION("addition") {
    @Override
    Example draw(RandomGenerator random) {
      int a = random.nextInt(10, 100);
      int b = random.nextInt(10, 100);
      return new Example(
          this,
          a + " + " + b + " =",
          Integer.toString(a + b),
          Math.min(a, b) + "+" + Math.max(a, b));
    }
  },

  /** {@code reverse kilom} is {@code molik}; the words have four or five letters. */
  REVERSAL("reversal") {
    @Override
    Example draw(RandomGenerator random) {
      String word = word(random);
      while (QuickstartTokenizer.WORDS.contains(word)) {
        word = word(random);
      }
      String reversed = new StringBuilder(word).reverse().toString();
      return new Example(
          this, "reverse " + word, reversed, word.compareTo(reversed) < 0 ? word : reversed);
    }
  },

  /** {@code sort 73915} is {@code 13579}; four or five digits. */
  SORTING("sorting") {
    @Override
    Example draw(RandomGenerator random) {
      char[] digits = new char[random.nextInt(4, 6)];
      for (int i = 0; i < digits.length; i++) {
        digits[i] = (char) ('0' + random.nextInt(10));
      }
      String prompt = "sort " + new String(digits);
      Arrays.sort(digits);
      return new Example(this, prompt, new String(digits), new String(digits));
    }
  };

  private static final String CONSONANTS = "bcdfghjklmnprstvwz";
  private static final String VOWELS = "aeiou";

  private final String title;

  Task(String title) {
    this.title = title;
  }

  /**
   * One question with its answer.
   *
   * @param key the same for questions of which one gives away the other, such as {@code 37 + 91}
   *     and {@code 91 + 37}
   */
  record Example(Task task, String prompt, String answer, String key) {}

  /** Draws a question, all being equally likely. */
  abstract Example draw(RandomGenerator random);

  /** The task's name in messages. */
  public String title() {
    return title;
  }

  private static String word(RandomGenerator random) {
    boolean vowel = random.nextBoolean();
    StringBuilder word = new StringBuilder();
    for (int left = random.nextInt(4, 6); left > 0; left--) {
      String letters = vowel ? VOWELS : CONSONANTS;
      word.append(letters.charAt(random.nextInt(letters.length())));
      vowel = !vowel;
    }
    return word.toString();
  }
}
