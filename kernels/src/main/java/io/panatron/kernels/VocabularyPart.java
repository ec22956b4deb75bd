package io.panatron.kernels;

/**
 * The consecutive rows of a vocabulary that one rank of a group holds, where the ranks share the
 * embedding and the output head among them.
 *
 * <p>Rank {@code r} of {@code n} has the rows from {@code r size / n} to {@code (r + 1) size / n},
 * so that the parts differ by one row at most and no row is padding.
 *
 * @param size rows of the whole vocabulary, at least one for each rank
 * @param group the ranks that hold it together
 */
public record VocabularyPart(int size, Communicator group) {
  public VocabularyPart {
    if (size < group.size()) {
      throw new IllegalArgumentException(
          "a vocabulary of " + size + " cannot be shared by " + group.size() + " ranks");
    }
  }

  /** The first row of this rank. */
  public int firstRow() {
    return firstRow(size, group.rank(), group.size());
  }

  /** How many rows this rank has. */
  public int rows() {
    return firstRow(size, group.rank() + 1, group.size()) - firstRow();
  }

  /** How many rows the rank with the most has. */
  public int mostRows() {
    return Math.ceilDiv(size, group.size());
  }

  /** The first row of a rank among {@code ranks}, or the end where {@code rank} is their number. */
  public static int firstRow(int size, int rank, int ranks) {
    return Math.toIntExact((long) size * rank / ranks);
  }
}
