package io.panatron.runtime.nn;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;

/**
 * The keys and values of earlier tokens, layer by layer, in slots of equal size: one sequence each.
 *
 * <p><b>Shapes</b>: per layer, keys and values: [slots x capacity, key heads, head dim]; slot
 * {@code s} starts at row {@code s capacity}.
 *
 * <p>A step first calls {@link #plan} with the slots that get new tokens, then each layer {@link
 * #append}s its keys and values, then {@link #commit} makes the new tokens old. Between steps a
 * slot can be shortened, copied to another, and all can grow.
 */
public final class KeyValueCache {
  private final MemoryScope scope;
  private final HeadGeometry heads;
  private final DType dtype;
  private final int[] lengths;
  private final Tensor[] keys;
  private final Tensor[] values;
  private int capacity;
  private int[] newSlots = new int[0];
  private int[] newStarts = new int[1];

  /**
   * @param scope owns the memory
   * @param capacity the most tokens a slot holds before {@link #grow}
   */
  public KeyValueCache(
      MemoryScope scope, int layers, int slots, int capacity, HeadGeometry heads, DType dtype) {
    this.scope = scope;
    this.heads = heads;
    this.dtype = dtype;
    this.capacity = capacity;
    this.lengths = new int[slots];
    this.keys = new Tensor[layers];
    this.values = new Tensor[layers];
    for (int layer = 0; layer < layers; layer++) {
      keys[layer] = allocate("cached keys " + layer, capacity);
      values[layer] = allocate("cached values " + layer, capacity);
    }
  }

  private Tensor allocate(String label, int slotCapacity) {
    long rows = (long) lengths.length * slotCapacity;
    return scope.allocate(label, dtype, rows, heads.keyValueHeads(), heads.headDim());
  }

  /** Tokens held in a slot. */
  public int length(int slot) {
    return lengths[slot];
  }

  /** Tokens that a slot has room for. */
  public int capacity() {
    return capacity;
  }

  /** Forgets the tokens of a slot from {@code length} on. */
  public void truncate(int slot, int length) {
    if (length < 0 || length > lengths[slot]) {
      throw new IllegalArgumentException(
          "slot " + slot + " holds " + lengths[slot] + " tokens; cannot keep " + length);
    }
    lengths[slot] = length;
  }

  /** Overwrites a slot with the first {@code length} tokens of another. */
  public void copy(Backend backend, int from, int to, int length) {
    if (length > lengths[from]) {
      throw new IllegalArgumentException(
          "slot " + from + " holds " + lengths[from] + " tokens; cannot copy " + length);
    }
    for (int layer = 0; layer < keys.length; layer++) {
      copyRows(backend, keys[layer], row(from), keys[layer], row(to), length);
      copyRows(backend, values[layer], row(from), values[layer], row(to), length);
    }
    lengths[to] = length;
  }

  /** Makes room for more tokens in every slot, one layer at a time. */
  public void grow(Backend backend, int newCapacity) {
    if (newCapacity < capacity) {
      throw new IllegalArgumentException(capacity + " tokens cannot shrink to " + newCapacity);
    }
    for (int layer = 0; layer < keys.length; layer++) {
      keys[layer] = moved(backend, keys[layer], newCapacity);
      values[layer] = moved(backend, values[layer], newCapacity);
    }
    capacity = newCapacity;
  }

  private Tensor moved(Backend backend, Tensor old, int newCapacity) {
    Tensor larger = allocate(old.buffer().label(), newCapacity);
    for (int slot = 0; slot < lengths.length; slot++) {
      copyRows(backend, old, row(slot), larger, (long) slot * newCapacity, lengths[slot]);
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
   */
  public AttentionLayout plan(int[] slots, int[] newTokens) {
    newSlots = slots.clone();
    newStarts = new int[slots.length + 1];
    int[] keyStarts = new int[slots.length];
    int[] keyLengths = new int[slots.length];
    for (int i = 0; i < slots.length; i++) {
      newStarts[i + 1] = newStarts[i] + newTokens[i];
      keyStarts[i] = Math.toIntExact(row(slots[i]));
      keyLengths[i] = lengths[slots[i]] + newTokens[i];
      if (keyLengths[i] > capacity) {
        throw new IllegalArgumentException(
            "slot "
                + slots[i]
                + " would reach "
                + keyLengths[i]
                + " tokens; its cache holds "
                + capacity);
      }
    }
    return new AttentionLayout(newStarts, keyStarts, keyLengths);
  }

  /** Copies a layer's new keys and values behind the old ones. */
  void append(Backend backend, int layer, Tensor newKeys, Tensor newValues) {
    for (int i = 0; i < newSlots.length; i++) {
      int count = newStarts[i + 1] - newStarts[i];
      long row = row(newSlots[i]) + lengths[newSlots[i]];
      copyRows(backend, newKeys, newStarts[i], keys[layer], row, count);
      copyRows(backend, newValues, newStarts[i], values[layer], row, count);
    }
  }

  Tensor keys(int layer) {
    return keys[layer];
  }

  Tensor values(int layer) {
    return values[layer];
  }

  /** Counts the planned tokens as held, after every layer has appended. */
  public void commit() {
    for (int i = 0; i < newSlots.length; i++) {
      lengths[newSlots[i]] += newStarts[i + 1] - newStarts[i];
    }
    newSlots = new int[0];
  }

  private long row(int slot) {
    return (long) slot * capacity;
  }
}
