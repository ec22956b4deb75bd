package io.panatron.runtime.generate;

import java.util.Arrays;
import java.util.function.Function;

/**
 * Turns tokens into text as they come, never giving out half a character.
 *
 * <p>A token may hold some bytes of a character only, which decode to U+FFFD until the rest comes;
 * such an end is held back. Only the tokens since the last whole character are decoded, with the
 * group before them, since decoders treat the first token of a text differently. The pieces
 * together are the text that decoding all tokens at once gives.
 */
final class TextStream {
  private static final char REPLACEMENT = '\uFFFD';
  private static final String REPLACEMENT_TEXT = String.valueOf(REPLACEMENT);

  /** Tokens held back before they count as broken text; a character has at most four bytes. */
  private static final int MOST_HELD = 16;

  private static final int LONGEST_CHARACTER = 4;

  private final Function<int[], String> decode;
  private final StringBuilder text = new StringBuilder();
  private int[] ids = new int[16];
  private int count;

  /** The window that is decoded starts here; the tokens up to {@link #given} are context. */
  private int anchor;

  private int given;

  /** What was given out of the window's text. */
  private String known = "";

  /**
   * @param decode the text of tokens
   */
  TextStream(Function<int[], String> decode) {
    this.decode = decode;
  }

  /** Takes a token and returns the text that is now certain, maybe empty. */
  String append(int id) {
    if (count == ids.length) {
      ids = Arrays.copyOf(ids, 2 * count);
    }
    ids[count++] = id;
    String window = decoded(anchor, count);
    String fresh = "";
    if (window.startsWith(known)) {
      int end = window.length();
      while (end > known.length() && window.charAt(end - 1) == REPLACEMENT) {
        end--;
      }
      fresh = window.substring(known.length(), end);
      known = window.substring(0, end);
      if (end == window.length() && !fresh.isEmpty()) {
        anchor = given;
        given = count;
        known = decoded(anchor, given);
      } else if (count - given > MOST_HELD) {
        fresh += giveUp(window);
      }
    } else if (!window.endsWith(REPLACEMENT_TEXT) || count - given > MOST_HELD) {
      // A decoder with byte fallback takes a character back when broken bytes follow it.
      fresh = decoded(given, count);
      anchor = given;
      given = count;
      known = fresh;
    }
    text.append(fresh);
    return fresh;
  }

  /** Gives out what cannot become a character any more, and keeps what still can. */
  private String giveUp(String window) {
    int cut = count - LONGEST_CHARACTER;
    String before = decoded(anchor, cut);
    if (!before.startsWith(known) || !window.equals(before + decoded(cut, count))) {
      return "";
    }
    String fresh = before.substring(known.length());
    anchor = cut;
    given = cut;
    known = "";
    return fresh;
  }

  /** Returns the rest of the text, after the last token. */
  String finish() {
    String whole = decoded(0, count);
    String window = decoded(anchor, count);
    String rest = "";
    if (startsWith(whole, text)) {
      rest = whole.substring(text.length());
    } else if (window.startsWith(known)) {
      rest = window.substring(known.length());
    } else {
      rest = decoded(given, count);
    }
    text.append(rest);
    return rest;
  }

  private static boolean startsWith(String whole, StringBuilder start) {
    return whole.length() >= start.length()
        && start.compareTo(new StringBuilder(whole.substring(0, start.length()))) == 0;
  }

  private String decoded(int from, int to) {
    return decode.apply(Arrays.copyOfRange(ids, from, to));
  }
}
