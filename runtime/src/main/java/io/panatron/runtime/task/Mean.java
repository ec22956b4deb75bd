package io.panatron.runtime.task;

/**
 * A mean that can go on.
 *
 * @param count how many numbers were added up
 */
public record Mean(double sum, long count) {
  public static final Mean NONE = new Mean(0, 0);

  public double value() {
    return sum / Math.max(count, 1);
  }

  public Mean plus(double number) {
    return new Mean(sum + number, count + 1);
  }

  public Mean plus(Mean other) {
    return new Mean(sum + other.sum, count + other.count);
  }
}
