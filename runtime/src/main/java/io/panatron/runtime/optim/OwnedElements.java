package io.panatron.runtime.optim;

import java.util.List;

/**
 * Which elements of the flat buffers a rank updates, and where their optimizer state lies: state is
 * kept for these alone, one piece behind the other.
 */
public record OwnedElements(List<Piece> pieces) {
  /**
   * A stretch of the flat buffers.
   *
   * @param first in the flat buffers
   * @param offset of its state in this rank's state
   */
  public record Piece(long first, long count, long offset) {}

  public OwnedElements {
    pieces = List.copyOf(pieces);
  }

  /** Everything. */
  static OwnedElements all(long elements) {
    return new OwnedElements(List.of(new Piece(0, elements, 0)));
  }

  /** How many there are. */
  public long elements() {
    return pieces.stream().mapToLong(Piece::count).sum();
  }
}
