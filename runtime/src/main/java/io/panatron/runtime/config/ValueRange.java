package io.panatron.runtime.config;

/**
 * An interval of numbers, each end open or closed, as the table writes it: {@code [0,1)}, {@code
 * (0,)}.
 *
 * @param low least value, negative infinity if there is none
 * @param lowIncluded whether {@code low} itself is in the interval
 * @param high greatest value, positive infinity if there is none
 * @param highIncluded whether {@code high} itself is in the interval
 */
public record ValueRange(double low, boolean lowIncluded, double high, boolean highIncluded) {
  public ValueRange {
    if (!(low <= high)) {
      throw new IllegalArgumentException("range from " + low + " to " + high + " is empty");
    }
  }

  /** Reads the notation of the table. */
  static ValueRange parse(String text) {
    int comma = text.indexOf(',');
    if (comma < 1 || !text.matches("[\\[(].*[\\])]")) {
      throw new IllegalArgumentException("'" + text + "' is not a range");
    }
    String low = text.substring(1, comma);
    String high = text.substring(comma + 1, text.length() - 1);
    return new ValueRange(
        low.isEmpty() ? Double.NEGATIVE_INFINITY : Double.parseDouble(low),
        text.startsWith("["),
        high.isEmpty() ? Double.POSITIVE_INFINITY : Double.parseDouble(high),
        text.endsWith("]"));
  }

  /** Whether the number lies in the interval; NaN never does. */
  public boolean contains(double value) {
    return (lowIncluded ? value >= low : value > low)
        && (highIncluded ? value <= high : value < high);
  }

  /** The interval in words, such as "at least 1" or "at least 0 and below 1". */
  public String describe() {
    String from =
        low == Double.NEGATIVE_INFINITY ? "" : (lowIncluded ? "at least " : "above ") + number(low);
    String to =
        high == Double.POSITIVE_INFINITY
            ? ""
            : (highIncluded ? "at most " : "below ") + number(high);
    return from.isEmpty() || to.isEmpty() ? from + to : from + " and " + to;
  }

  private static String number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(value);
  }
}
