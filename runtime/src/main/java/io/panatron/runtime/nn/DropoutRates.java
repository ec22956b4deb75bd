package io.panatron.runtime.nn;

/**
 * How likely dropout is to drop an element, at least 0 and below 1.
 *
 * @param hidden of embeddings and of what each attention and MLP adds to the residual stream
 * @param attention of attention probabilities
 */
public record DropoutRates(double hidden, double attention) {
  /** No dropout. */
  public static final DropoutRates NONE = new DropoutRates(0, 0);

  public DropoutRates {
    if (!(hidden >= 0 && hidden < 1 && attention >= 0 && attention < 1)) {
      throw new IllegalArgumentException(
          "dropout of " + hidden + " and " + attention + "; both must be at least 0 and below 1");
    }
  }

  /** Whether nothing is ever dropped. */
  public boolean areZero() {
    return hidden == 0 && attention == 0;
  }
}
