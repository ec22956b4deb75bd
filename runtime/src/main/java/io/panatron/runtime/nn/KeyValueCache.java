package io.panatron.runtime.nn;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The keys and values of earlier tokens, layer by layer, in slots of equal size: one sequence each.
 *
 * <p><b>Shapes</b>: per layer, keys and values: [slots x rows of a slot, key heads, head dim]. A
 * layer whose tokens see all earlier ones has a row for each token up to the capacity. One with a
 * window has at most twice as many rows as a token sees, and forgets tokens that no later one can
 * see; see {@link WindowPlacement}.
 *
 * <p>A step first calls {@link #plan} with the slots that get new tokens, then each layer {@link
 * #append}s its keys and values, then {@link #commit} makes the new tokens old. Between steps a
 * slot can be shortened, copied to another, and all can grow.
 */
public final class KeyValueCache {
  private final MemoryScope scope;
  private final HeadGeometry heads;
  private final DType dtype;
  private final int[] windows;
  private final int window;
  private final int[] lengths;

  /** The first token that the layers with a window hold, by slot. */
  private final int[] firsts;

  private final Tensor[] keys;
  private final Tensor[] values;
  private int capacity;
  private int[] newSlots = new int[0];
  private int[] newStarts = new int[1];
  private @Nullable WindowPlacement placement;

  /** A layer's keys and values of a step, the caller's to release, and how queries see them. */
  record View(Tensor keys, Tensor values, AttentionLayout layout) {}

  /**
   * @param scope owns the memory
   * @param windows for each layer how many keys a query sees, {@link AttentionLayout#NO_WINDOW} for
   *     all; the others must be equal
   * @param capacity the most tokens a slot holds before {@link #grow}
   */
  public KeyValueCache(
      MemoryScope scope, int[] windows, int slots, int capacity, HeadGeometry heads, DType dtype) {
    this.scope = scope;
    this.heads = heads;
    this.dtype = dtype;
    this.windows = windows.clone();
    this.window = Arrays.stream(windows).min().orElse(AttentionLayout.NO_WINDOW);
    this.capacity = capacity;
    this.lengths = new int[slots];
    this.firsts = new int[slots];
    this.keys = new Tensor[windows.length];
    this.values = new Tensor[windows.length];
    for (int layer = 0; layer < windows.length; layer++) {
      if (windows[layer] != window && windows[layer] != AttentionLayout.NO_WINDOW) {
        throw new IllegalArgumentException("windows of " + window + " and " + windows[layer]);
      }
      keys[layer] = allocate("cached keys " + layer, rows(layer, capacity));
      values[layer] = allocate("cached values " + layer, rows(layer, capacity));
    }
  }

  private Tensor allocate(String label, int slotRows) {
    long rows = (long) lengths.length * slotRows;
    return scope.allocate(label, dtype, rows, heads.keyValueHeads(), heads.headDim());
  }

  private boolean isWindowed(int layer) {
    return windows[layer] != AttentionLayout.NO_WINDOW;
  }

  /** Rows of a slot in a layer. */
  private int rows(int layer, int slotCapacity) {
    return isWindowed(layer) ? windowRows(slotCapacity) : slotCapacity;
  }

  /** Twice the window: a slot then moves each row once at most before it is forgotten. */
  private int windowRows(int slotCapacity) {
    return (int) Math.min(slotCapacity, 2L * window);
  }

  /** Tokens read or generated in a slot. */
  public int length(int slot) {
    return lengths[slot];
  }

  /** Tokens that a slot has room for. */
  public int capacity() {
    return capacity;
  }

  /** Whether a slot can go on behind its first {@code length} tokens. */
  public boolean holds(int slot, int length) {
    boolean seen = firsts[slot] == 0 || length - (window - 1) >= firsts[slot];
    return length == 0 || (length <= lengths[slot] && seen);
  }

  /** Forgets the tokens of a slot from {@code length} on, which it must {@link #holds hold}. */
  public void truncate(int slot, int length) {
    requireHeld(slot, length);
    lengths[slot] = length;
    if (length == 0) {
      firsts[slot] = 0;
    }
  }

  private void requireHeld(int slot, int length) {
    if (length < 0 || !holds(slot, length)) {
      throw new IllegalArgumentException(
          "slot %d has %d tokens, of which windows still see those from %d on; cannot keep %d"
              .formatted(slot, lengths[slot], firsts[slot], length));
    }
  }

  /** Overwrites a slot with the first {@code length} tokens of another, which it must hold. */
  public void copy(Backend backend, int from, int to, int length) {
    requireHeld(from, length);
    for (int layer = 0; layer < keys.length; layer++) {
      int rows = rows(layer, capacity);
      int held = length == 0 ? 0 : length - (isWindowed(layer) ? firsts[from] : 0);
      long source = (long) from * rows;
      copyRows(backend, keys[layer], source, keys[layer], (long) to * rows, held);
      copyRows(backend, values[layer], source, values[layer], (long) to * rows, held);
    }
    lengths[to] = length;
    firsts[to] = length == 0 ? 0 : firsts[from];
  }

  /** Makes room for more tokens in every slot, one layer at a time. */
  public void grow(Backend backend, int newCapacity) {
    if (newCapacity < capacity) {
      throw new IllegalArgumentException(capacity + " tokens cannot shrink to " + newCapacity);
    }
    for (int layer = 0; layer < keys.length; layer++) {
      if (rows(layer, newCapacity) > rows(layer, capacity)) {
        keys[layer] = moved(backend, layer, keys[layer], newCapacity);
        values[layer] = moved(backend, layer, values[layer], newCapacity);
      }
    }
    capacity = newCapacity;
  }

  private Tensor moved(Backend backend, int layer, Tensor old, int newCapacity) {
    int oldRows = rows(layer, capacity);
    int newRows = rows(layer, newCapacity);
    Tensor larger = allocate(old.buffer().label(), newRows);
    for (int slot = 0; slot < lengths.length; slot++) {
      int held = lengths[slot] - (isWindowed(layer) ? firsts[slot] : 0);
      copyRows(backend, old, (long) slot * oldRows, larger, (long) slot * newRows, held);
    }
    scope.release(old);
    return larger;
  }

  private static void copyRows(
      Backend backend, Tensor from, long fromRow, Tensor to, long toRow, int count) {
    if (count > 0) {
      backend.copy(from.slice(fromRow, count), to.slice(toRow, count));
    }
  }

  /**
   * Prepares to append {@code newTokens[i]} tokens to slot {@code slots[i]} and says how they
   * attend: the new tokens are packed in the order of {@code slots}, the other slots take no part.
   * Layers with a window see fewer keys than the result has.
   */
  public AttentionLayout plan(int[] slots, int[] newTokens) {
    newSlots = slots.clone();
    newStarts = new int[slots.length + 1];
    int[] keyStarts = new int[slots.length];
    int[] keyLengths = new int[slots.length];
    int[] held = new int[slots.length];
    for (int i = 0; i < slots.length; i++) {
      newStarts[i + 1] = newStarts[i] + newTokens[i];
      keyStarts[i] = Math.multiplyExact(slots[i], capacity);
      keyLengths[i] = lengths[slots[i]] + newTokens[i];
      held[i] = lengths[slots[i]] - firsts[slots[i]];
      if (keyLengths[i] > capacity) {
        throw new IllegalArgumentException(
            "slot %d would reach %d tokens; its cache holds %d"
                .formatted(slots[i], keyLengths[i], capacity));
      }
    }
    placement =
        window == AttentionLayout.NO_WINDOW
            ? null
            : WindowPlacement.of(newSlots, held, newStarts, windowRows(capacity), window);
    return new AttentionLayout(newStarts, keyStarts, keyLengths);
  }

  /**
   * Puts a layer's new keys and values behind the old ones.
   *
   * @param all the layout that {@link #plan} returned
   */
  View append(Tape tape, int layer, Tensor newKeys, Tensor newValues, AttentionLayout all) {
    WindowPlacement windowed = isWindowed(layer) ? placement : null;
    if (windowed == null) {
      for (int i = 0; i < newSlots.length; i++) {
        long row = all.keyStart(i) + (long) lengths[newSlots[i]];
        copyRows(tape.backend(), newKeys, newStarts[i], keys[layer], row, newRows(i));
        copyRows(tape.backend(), newValues, newStarts[i], values[layer], row, newRows(i));
      }
      return new View(tape.retain(keys[layer]), tape.retain(values[layer]), all);
    }
    return new View(
        appendInWindow(tape, keys[layer], newKeys, windowed),
        appendInWindow(tape, values[layer], newValues, windowed),
        windowed.layout());
  }

  private Tensor appendInWindow(Tape tape, Tensor cached, Tensor fresh, WindowPlacement at) {
    Backend backend = tape.backend();
    int rows = windowRows(capacity);
    Tensor seen =
        at.gathered()
            ? tape.scope().allocate("seen rows", dtype, cached.shape().withLeading(at.rows()))
            : cached;
    for (int i = 0; i < newSlots.length; i++) {
      long slot = (long) newSlots[i] * rows;
      long start = at.layout().keyStart(i);
      int kept = at.kept()[i];
      if (at.gathered() || at.dropped()[i] > 0) {
        copyRows(backend, cached, slot + at.dropped()[i], seen, start, kept);
      }
      copyRows(backend, fresh, newStarts[i], seen, start + kept, newRows(i));
      if (at.gathered()) {
        int left = at.heldAfter(i);
        copyRows(backend, seen, start + at.layout().keyLength(i) - left, cached, slot, left);
      }
    }
    return at.gathered() ? seen : tape.retain(cached);
  }

  private int newRows(int sequence) {
    return newStarts[sequence + 1] - newStarts[sequence];
  }

  /** Counts the planned tokens as held, after every layer has appended. */
  public void commit() {
    for (int i = 0; i < newSlots.length; i++) {
      int slot = newSlots[i];
      lengths[slot] += newRows(i);
      if (placement != null) {
        firsts[slot] = lengths[slot] - placement.heldAfter(i);
      }
    }
    newSlots = new int[0];
    placement = null;
  }
}
