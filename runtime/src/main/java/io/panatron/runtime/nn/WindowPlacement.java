package io.panatron.runtime.nn;

import io.panatron.kernels.AttentionLayout;

/**
 * Where a step finds the keys that its queries see through a window, for the sequences of the step
 * in their order.
 *
 * <p>Usually the new rows go behind the held ones, in the slots. A slot that has no room for them
 * first moves the last {@code window - 1} rows, all that a new query can see, to its start. If that
 * does not make room either, or the rows would overlap on the way, the step takes its keys from a
 * temporary copy, and the slots receive the last rows of that afterwards.
 *
 * @param gathered whether the step uses a temporary copy
 * @param kept rows of each sequence that the step still needs
 * @param dropped how many rows lie before those in the slot
 * @param layout of the step, in the slots or in the temporary copy
 * @param rows of the temporary copy
 */
record WindowPlacement(
    boolean gathered, int[] kept, int[] dropped, AttentionLayout layout, int rows) {

  /**
   * @param slots of the sequences
   * @param held rows in the slot of each sequence
   * @param starts first new row of each sequence, and the end
   * @param room rows of a slot
   * @param window keys that a query sees, itself included
   */
  static WindowPlacement of(int[] slots, int[] held, int[] starts, int room, int window) {
    int count = slots.length;
    int[] kept = held.clone();
    boolean gathered = false;
    for (int i = 0; i < count; i++) {
      int fresh = starts[i + 1] - starts[i];
      if (held[i] + fresh > room) {
        kept[i] = Math.min(held[i], window - 1);
        boolean overlaps = kept[i] > held[i] - kept[i];
        gathered |= overlaps || kept[i] + fresh > room;
      }
    }
    int[] dropped = new int[count];
    int[] keyStarts = new int[count];
    int[] keyLengths = new int[count];
    int next = 0;
    for (int i = 0; i < count; i++) {
      kept[i] = gathered ? Math.min(kept[i], window - 1) : kept[i];
      dropped[i] = held[i] - kept[i];
      keyLengths[i] = kept[i] + starts[i + 1] - starts[i];
      keyStarts[i] = gathered ? next : Math.multiplyExact(slots[i], room);
      next = Math.addExact(next, keyLengths[i]);
    }
    AttentionLayout layout = new AttentionLayout(starts, keyStarts, keyLengths).withWindow(window);
    return new WindowPlacement(gathered, kept, dropped, layout, next);
  }

  /** Rows of a sequence that its slot holds after the step. */
  int heldAfter(int sequence) {
    int all = layout.keyLength(sequence);
    return gathered ? Math.min(all, layout.window() - 1) : all;
  }
}
