package io.panatron.kernels;

/**
 * Cosines and sines of the rotary angles, and the widths they act on.
 *
 * <p><b>Shapes</b>: {@code cosine}, {@code sine}: [positions, rotaryDim / 2], in the accumulator
 * dtype. Element {@code i} of the first half of the rotated part pairs with element {@code i} of
 * its second half, as in most models of Hugging Face, or each even element with its neighbour;
 * elements from {@code rotaryDim} on pass through. Source: Su et al., "RoFormer", equation 34.
 *
 * @param interleaved whether neighbours pair
 */
public record RotaryTable(Tensor cosine, Tensor sine, boolean interleaved) {
  /** Of pairs half of the rotated part apart. */
  public RotaryTable(Tensor cosine, Tensor sine) {
    this(cosine, sine, false);
  }

  public RotaryTable {
    if (!cosine.shape().equals(sine.shape())) {
      throw new IllegalArgumentException(
          "cosine " + cosine.shape() + " and sine " + sine.shape() + " differ");
    }
  }

  public int positions() {
    return Math.toIntExact(cosine.shape().extent(0));
  }

  /** How many elements of each head are rotated. */
  public int rotaryDim() {
    return 2 * cosine.shape().columns();
  }
}
