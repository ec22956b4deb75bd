package io.panatron.runtime.data.jinja;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Texts that Python makes of JSON values: null, Boolean, Long, Double, String, and lists and
 * string-keyed maps of these.
 */
public final class PythonText {
  private PythonText() {}

  /** {@code json.dumps(value, ensure_ascii=False)}. */
  public static String json(@Nullable Object value) {
    return PythonJson.dump(value, Map.of());
  }

  /**
   * {@code json.dumps(value, ensure_ascii=False, indent=n)}.
   *
   * @param indent blanks per level
   */
  public static String json(@Nullable Object value, int indent) {
    Map<String, @Nullable Object> options = new LinkedHashMap<>();
    options.put("indent", (long) indent);
    return PythonJson.dump(value, options);
  }

  /** {@code text.strip()}. */
  public static String strip(String text) {
    int start = 0;
    int end = text.length();
    while (start < end && Python.isSpace(text.charAt(start))) {
      start++;
    }
    while (end > start && Python.isSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(start, end);
  }

  /** {@code str(value)}. */
  public static String str(@Nullable Object value) {
    return Python.str(value);
  }
}
