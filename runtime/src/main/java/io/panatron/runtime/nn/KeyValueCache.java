package io.panatron.runtime.nn;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The keys and values of all earlier tokens of a batch of sequences, layer by layer.
 *
 * <p><b>Shapes</b>: per layer, keys and values: [sequences x capacity, key heads, head dim];
 * sequence {@code s} starts at row {@code s capacity}.
 *
 * <p>A step first calls {@link #plan} with the number of new tokens of each sequence, then each
 * layer {@link #append}s its keys and values, then {@link #commit} makes the new tokens old.
 */
public final class KeyValueCache {
  private final int capacity;
  private final int[] lengths;
  private final List<Tensor> keys = new ArrayList<>();
  private final List<Tensor> values = new ArrayList<>();
  private int[] newStarts = new int[0];

  /**
   * @param capacity the most tokens a sequence can reach
   */
  public KeyValueCache(
      MemoryScope scope, int layers, int sequences, int capacity, HeadGeometry heads, DType dtype) {
    this.capacity = capacity;
    this.lengths = new int[sequences];
    long rows = (long) sequences * capacity;
    for (int layer = 0; layer < layers; layer++) {
      keys.add(
          scope.allocate(
              "cached keys " + layer, dtype, rows, heads.keyValueHeads(), heads.headDim()));
      values.add(
          scope.allocate(
              "cached values " + layer, dtype, rows, heads.keyValueHeads(), heads.headDim()));
    }
  }

  /** Tokens held for a sequence. */
  public int length(int sequence) {
    return lengths[sequence];
  }

  /**
   * Prepares to append {@code newTokens[s]} tokens to each sequence and says how they attend: new
   * tokens are packed in sequence order.
   */
  public AttentionLayout plan(int[] newTokens) {
    int sequences = lengths.length;
    newStarts = new int[sequences + 1];
    int[] keyStarts = new int[sequences];
    int[] keyLengths = new int[sequences];
    for (int s = 0; s < sequences; s++) {
      newStarts[s + 1] = newStarts[s] + newTokens[s];
      keyStarts[s] = s * capacity;
      keyLengths[s] = lengths[s] + newTokens[s];
      if (keyLengths[s] > capacity) {
        throw new IllegalArgumentException(
            "sequence "
                + s
                + " would reach "
                + keyLengths[s]
                + " tokens; its cache holds "
                + capacity);
      }
    }
    return new AttentionLayout(newStarts, keyStarts, keyLengths);
  }

  /** Copies a layer's new keys and values behind the old ones. */
  void append(Backend backend, int layer, Tensor newKeys, Tensor newValues) {
    for (int s = 0; s < lengths.length; s++) {
      int count = newStarts[s + 1] - newStarts[s];
      if (count == 0) {
        continue;
      }
      long row = (long) s * capacity + lengths[s];
      backend.copy(newKeys.slice(newStarts[s], count), keys.get(layer).slice(row, count));
      backend.copy(newValues.slice(newStarts[s], count), values.get(layer).slice(row, count));
    }
  }

  Tensor keys(int layer) {
    return keys.get(layer);
  }

  Tensor values(int layer) {
    return values.get(layer);
  }

  /** Counts the planned tokens as held, after every layer has appended. */
  public void commit() {
    for (int s = 0; s < lengths.length; s++) {
      lengths[s] += newStarts[s + 1] - newStarts[s];
    }
  }
}
