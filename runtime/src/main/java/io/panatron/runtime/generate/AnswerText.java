package io.panatron.runtime.generate;

import java.util.List;
import java.util.function.Function;

/**
 * The text of a sample as it grows: whole characters, cut before the first stop string.
 *
 * <p>A stop string may begin in one token and end in a later one, so an end of the text that may
 * become a stop string is not given out before it is certain.
 */
final class AnswerText {
  private final TextStream stream;
  private final List<String> stops;
  private final StringBuilder text = new StringBuilder();
  private int given;
  private boolean stopped;

  /**
   * @param decode the text of tokens
   * @param stops strings that end the text and are no part of it; none is empty
   */
  AnswerText(Function<int[], String> decode, List<String> stops) {
    stream = new TextStream(decode);
    this.stops = List.copyOf(stops);
  }

  /** Takes a token and returns whether the text has reached a stop string. */
  boolean append(int id) {
    add(stream.append(id));
    return stopped;
  }

  private void add(String fresh) {
    int before = text.length();
    text.append(fresh);
    int first = Integer.MAX_VALUE;
    for (String stop : stops) {
      int at = text.indexOf(stop, Math.max(0, before - stop.length() + 1));
      if (at >= 0) {
        first = Math.min(first, at);
      }
    }
    if (first <= text.length()) {
      text.setLength(first);
      stopped = true;
    }
  }

  /** Takes note that no token follows. */
  void finish() {
    if (!stopped) {
      add(stream.finish());
      stopped = true;
    }
  }

  /** The text that became certain since the last call. */
  String takeFresh() {
    int end = stopped ? text.length() : text.length() - possibleStop();
    String fresh = text.substring(given, Math.max(given, end));
    given = Math.max(given, end);
    return fresh;
  }

  /** The length of the longest end of the text that begins a stop string. */
  private int possibleStop() {
    int longest = 0;
    for (String stop : stops) {
      for (int length = Math.min(stop.length() - 1, text.length()); length > longest; length--) {
        if (text.indexOf(stop.substring(0, length), text.length() - length) >= 0) {
          longest = length;
        }
      }
    }
    return longest;
  }

  /** The text so far, with what is not certain yet. */
  String text() {
    return text.toString();
  }
}
