package io.panatron.runtime.optim;

/** A gradient became NaN or infinite; nothing was updated. */
public final class NonFiniteGradientException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String parameter;

  NonFiniteGradientException(String parameter) {
    super("the gradient of " + parameter + " is not finite");
    this.parameter = parameter;
  }

  /** The first parameter found. */
  public String parameter() {
    return parameter;
  }
}
