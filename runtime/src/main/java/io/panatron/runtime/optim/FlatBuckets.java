package io.panatron.runtime.optim;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A flat buffer cut into the parts that ranks exchange one after another.
 *
 * <p>The last part comes first, as backward finishes the gradients of the last layers first. Each
 * divides equally among the ranks; of each, rank {@code r} owns the {@code r}-th share, without
 * regard to where parameters begin. Source: Megatron-Core, param_and_grad_buffer.py; its parts also
 * end where parameters do.
 *
 * @param parts that tile the buffer, from its end to its start
 */
public record FlatBuckets(List<Bucket> parts, int ranks) {
  /** The least size by default, in elements. */
  private static final long LEAST = 40_000_000;

  /** The size by default grows with the ranks, so that each message stays as large. */
  private static final long FOR_EACH_RANK = 1_000_000;

  /** A part: its first element and how many there are. */
  public record Bucket(long first, long count) {
    /** Whether it holds an element of a stretch. */
    boolean meets(long start, long elements) {
      return first < start + elements && start < first + count;
    }
  }

  public FlatBuckets {
    parts = List.copyOf(parts);
    for (Bucket part : parts) {
      if (part.count() % ranks != 0) {
        throw new IllegalArgumentException(part + " does not divide among " + ranks + " ranks");
      }
    }
  }

  /** Megatron-Core's size of a bucket where nothing else is asked for. */
  public static long defaultSize(int ranks) {
    return Math.max(LEAST, FOR_EACH_RANK * ranks);
  }

  /**
   * Cuts a buffer.
   *
   * @param elements of the buffer
   * @param multiple what the length of each part is a multiple of; divides {@code elements}
   * @param size elements of each part at least, but for the last one
   */
  static FlatBuckets of(long elements, int ranks, long multiple, long size) {
    long rounded = Math.max(multiple, (size + multiple - 1) / multiple * multiple);
    List<Bucket> parts = new ArrayList<>();
    for (long end = elements; end > 0; end -= rounded) {
      long first = Math.max(0, end - rounded);
      parts.add(new Bucket(first, end - first));
    }
    return new FlatBuckets(parts, ranks);
  }

  /** What a rank owns. */
  OwnedElements owned(int rank) {
    List<Bucket> ascending = new ArrayList<>(parts);
    Collections.reverse(ascending);
    List<OwnedElements.Piece> pieces = new ArrayList<>();
    long offset = 0;
    for (Bucket part : ascending) {
      long share = part.count() / ranks;
      pieces.add(new OwnedElements.Piece(part.first() + rank * share, share, offset));
      offset += share;
    }
    return new OwnedElements(pieces);
  }
}
