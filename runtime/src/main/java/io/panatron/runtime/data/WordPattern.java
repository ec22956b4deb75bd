package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds the words into which the common byte-level tokenizers cut a text before they look for
 * tokens, as their regular expressions do: {@link #GPT2}, and {@link #DIGITS_ALONE} (Qwen) and
 * {@link #DIGITS_BY_THREE} (Llama 3), which differ in how many digits make a word.
 *
 * <p>Letters, numbers and spaces are those of the JDK's Unicode, which may be another version than
 * the tokenizers library's; {@link #covers} tells the texts for which that makes no difference.
 */
enum WordPattern {
  GPT2(
      Integer.MAX_VALUE,
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"),
  DIGITS_ALONE(1, WordPattern.withDigits("\\p{N}")),
  DIGITS_BY_THREE(3, WordPattern.withDigits("\\p{N}{1,3}"));

  private static final byte OTHER = 0;
  private static final byte LETTER = 1;
  private static final byte NUMBER = 2;
  private static final byte SPACE = 3;

  private final int digits;
  private final String regex;

  WordPattern(int digits, String regex) {
    this.digits = digits;
    this.regex = regex;
  }

  private static String withDigits(String numbers) {
    return "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
        + numbers
        + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  }

  /** The pattern of a {@code tokenizer.json}, or null if it cuts texts in some other way. */
  static @Nullable WordPattern of(JsonNode tokenizer) {
    JsonNode before = tokenizer.path("pre_tokenizer");
    if (isByteLevel(before)) {
      return before.path("use_regex").asBoolean(true) ? GPT2 : null;
    }
    JsonNode parts = before.path("pretokenizers");
    JsonNode split = parts.path(0);
    boolean split2 =
        before.path("type").asText().equals("Sequence")
            && parts.size() == 2
            && split.path("type").asText().equals("Split")
            && split.path("behavior").asText().equals("Isolated")
            && !split.path("invert").asBoolean(true)
            && isByteLevel(parts.path(1))
            && !parts.path(1).path("use_regex").asBoolean(true);
    String regex = split.path("pattern").path("Regex").asText();
    return List.of(values()).stream()
        .filter(pattern -> split2 && pattern.regex.equals(regex))
        .findFirst()
        .orElse(null);
  }

  private static boolean isByteLevel(JsonNode part) {
    return part.path("type").asText().equals("ByteLevel")
        && !part.path("add_prefix_space").asBoolean(true);
  }

  /**
   * Whether every version of Unicode cuts a text alike: not where it has characters that were
   * unassigned for long, nor the long s, which case-insensitive contractions take for an s.
   */
  static boolean covers(char[] text) {
    for (int i = 0; i < text.length; i++) {
      char c = text[i];
      if (c < 0x80) {
        continue;
      }
      if (Character.isHighSurrogate(c) && i + 1 < text.length) {
        if (!covers(Character.toCodePoint(c, text[++i]))) {
          return false;
        }
      } else if (!covers((int) c)) {
        return false;
      }
    }
    return true;
  }

  private static boolean covers(int c) {
    if (c >= 0x10000) {
      // Pictographs, none of them a letter or number, and the ideographs of extension B.
      return c >= 0x1f300 && c < 0x1fb00 || c >= 0x20000 && c <= 0x2a6d6;
    }
    return c != 0x17f && !Character.isSurrogate((char) c) && Character.getType(c) != 0;
  }

  /** The end of the word that starts at {@code i} in the part of a text that ends at {@code to}. */
  int end(char[] text, int i, int to) {
    char first = text[i];
    if (first == '\'') {
      int end = contraction(text, i, to);
      if (end > i) {
        return end;
      }
    }
    return this == GPT2 ? spaced(text, i, to) : led(text, i, to);
  }

  /** Runs of one kind with a blank before them, then runs of spaces. */
  private static int spaced(char[] text, int i, int to) {
    int start = text[i] == ' ' && i + 1 < to ? i + 1 : i;
    byte kind = kind(text, start, to);
    return kind == SPACE ? spaces(text, i, to) : run(kind, text, start, to);
  }

  /**
   * Letters with any one character before them, digits, marks with a blank and line ends, spaces.
   */
  private int led(char[] text, int i, int to) {
    char first = text[i];
    byte kind = kind(text, i, to);
    if (kind == LETTER) {
      return run(LETTER, text, i, to);
    }
    if (kind == NUMBER) {
      return numbers(text, i, to);
    }
    int next = i + width(text, i, to);
    if (first != '\n' && first != '\r' && next < to && kind(text, next, to) == LETTER) {
      return run(LETTER, text, next, to);
    }
    int start = first == ' ' && next < to ? next : i;
    if (kind(text, start, to) == OTHER) {
      int end = run(OTHER, text, start, to);
      while (end < to && isLineEnd(text[end])) {
        end++;
      }
      return end;
    }
    int end = run(SPACE, text, i, to);
    for (int last = end - 1; last >= i; last--) {
      if (isLineEnd(text[last])) {
        return last + 1;
      }
    }
    return spaces(text, i, to);
  }

  /** A run of spaces, whose last belongs to what follows. Spaces are one {@code char} each. */
  private static int spaces(char[] text, int i, int to) {
    int end = run(SPACE, text, i, to);
    return end < to && end - i > 1 ? end - 1 : end;
  }

  private int numbers(char[] text, int i, int to) {
    int end = i;
    for (int n = 0; n < digits && end < to && kind(text, end, to) == NUMBER; n++) {
      end += width(text, end, to);
    }
    return end;
  }

  private int contraction(char[] text, int i, int to) {
    char second = i + 1 < to ? letter(text[i + 1]) : 0;
    char third = i + 2 < to ? letter(text[i + 2]) : 0;
    return switch (second) {
      case 's', 't', 'm', 'd' -> i + 2;
      case 'r', 'v' -> third == 'e' ? i + 3 : i;
      case 'l' -> third == 'l' ? i + 3 : i;
      default -> i;
    };
  }

  private char letter(char c) {
    return this != GPT2 && c >= 'A' && c <= 'Z' ? (char) (c + 32) : c;
  }

  private static boolean isLineEnd(char c) {
    return c == '\n' || c == '\r';
  }

  private static int run(byte kind, char[] text, int i, int to) {
    int end = i;
    while (end < to && kind(text, end, to) == kind) {
      end += width(text, end, to);
    }
    return end;
  }

  private static int width(char[] text, int i, int to) {
    return Character.isHighSurrogate(text[i]) && i + 1 < to ? 2 : 1;
  }

  private static byte kind(char[] text, int i, int to) {
    char c = text[i];
    return c < 0x80
        ? Kinds.ASCII[c]
        : Character.isHighSurrogate(c) && i + 1 < to
            ? kind(Character.toCodePoint(c, text[i + 1]))
            : kind((int) c);
  }

  private static byte kind(int c) {
    return switch (Character.getType(c)) {
      case Character.UPPERCASE_LETTER,
          Character.LOWERCASE_LETTER,
          Character.TITLECASE_LETTER,
          Character.MODIFIER_LETTER,
          Character.OTHER_LETTER ->
          LETTER;
      case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER ->
          NUMBER;
      case Character.SPACE_SEPARATOR, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR ->
          SPACE;
      default -> c >= '\t' && c <= '\r' || c == 0x85 ? SPACE : OTHER;
    };
  }

  /** Kinds of the characters that most texts consist of. */
  private static final class Kinds {
    static final byte[] ASCII = new byte[0x80];

    static {
      for (int c = 0; c < ASCII.length; c++) {
        ASCII[c] = kind(c);
      }
    }
  }
}
