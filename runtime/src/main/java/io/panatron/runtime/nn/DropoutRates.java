package io.panatron.runtime.nn;

/**
 * How likely dropout is to drop an element, at least 0 and below 1.
 *
 * @param hidden of embeddings and of what each attention and MLP adds to the residual stream
 * @param attention of attention probabilities
 * @param adapter of what adapters read
 */
public record DropoutRates(double hidden, double attention, double adapter) {
  /** No dropout. */
  public static final DropoutRates NONE = new DropoutRates(0, 0);

  public DropoutRates {
    if (!(hidden >= 0 && hidden < 1 && attention >= 0 && attention < 1)) {
      throw new IllegalArgumentException(
          "dropout of " + hidden + " and " + attention + "; both must be at least 0 and below 1");
    }
    if (!(adapter >= 0 && adapter < 1)) {
      throw new IllegalArgumentException(
          "dropout of adapters of " + adapter + "; it must be at least 0 and below 1");
    }
  }

  /** Without dropout in adapters. */
  public DropoutRates(double hidden, double attention) {
    this(hidden, attention, 0);
  }

  /** The same, with this rate in adapters. */
  public DropoutRates withAdapter(double rate) {
    return new DropoutRates(hidden, attention, rate);
  }

  /** Whether nothing is ever dropped. */
  public boolean areZero() {
    return hidden == 0 && attention == 0 && adapter == 0;
  }
}
