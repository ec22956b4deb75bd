package io.panatron.runtime.parallel.timeline;

/**
 * A pass of a micro-batch through a model chunk.
 *
 * @param row of the timeline
 * @param start in the timeline's unit, from its beginning
 * @param end not before {@code start}
 */
public record Slot(int row, boolean backward, int microBatch, int chunk, double start, double end) {
  public Slot {
    if (row < 0 || microBatch < 0 || chunk < 0 || !(start >= 0) || !(end >= start)) {
      throw new IllegalArgumentException(
          "slot of micro-batch %d in row %d from %s to %s".formatted(microBatch, row, start, end));
    }
  }

  public double duration() {
    return end - start;
  }
}
