package io.panatron.runtime.data.agent;

import java.util.Map;

/** Texts with gaps. */
final class Gaps {
  private Gaps() {}

  /**
   * Fills each {@code {{NAME}}} once, in one pass, so that what is filled in is never searched.
   *
   * @throws IllegalArgumentException if a gap has no value
   */
  static String fill(String text, Map<String, String> values) {
    StringBuilder filled = new StringBuilder(text.length() * 2);
    int done = 0;
    for (int at = text.indexOf("{{"); at >= 0; at = text.indexOf("{{", done)) {
      int end = text.indexOf("}}", at);
      String value = end < 0 ? null : values.get(text.substring(at + 2, end));
      if (value == null) {
        throw new IllegalArgumentException("no value for the gap at " + at + " of: " + text);
      }
      filled.append(text, done, at).append(value);
      done = end + 2;
    }
    return filled.append(text, done, text.length()).toString();
  }
}
