package io.panatron.runtime.data;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Which samples are trained together as one pack of nearly full length.
 *
 * <p>Best fit, decreasing: within a window of samples the longest comes first, and each goes into
 * the fullest pack that has room for it. A window's last pack waits for the next window. Source:
 * Megatron-SWIFT's {@code dataset/packing.py}; which of equally long samples comes first is not the
 * same.
 *
 * @param samples the samples of all packs, one pack after the other
 * @param starts where each pack starts in {@code samples}, and their number at the end
 */
record PackPlan(int[] samples, int[] starts) {
  /**
   * Samples that are packed at a time. Larger windows fill better, but bring the longest samples
   * together; Megatron-SWIFT takes 1,000.
   */
  static final int WINDOW = 1000;

  int packs() {
    return starts.length - 1;
  }

  int[] pack(int i) {
    return Arrays.copyOfRange(samples, starts[i], starts[i + 1]);
  }

  /**
   * Packs samples.
   *
   * @param capacity tokens of a pack; no sample is longer
   * @param parts contiguous parts of the samples that are packed apart from each other
   */
  static PackPlan of(int[] lengths, int capacity, int parts) {
    int[] samples = new int[lengths.length];
    int[] starts = new int[lengths.length + 1];
    int packed = 0;
    int packs = 0;
    for (int part = 0; part < parts; part++) {
      int from = (int) ((long) lengths.length * part / parts);
      int to = (int) ((long) lengths.length * (part + 1) / parts);
      Window window = new Window(capacity);
      for (int start = from; start < to; start += WINDOW) {
        int end = Math.min(to, start + WINDOW);
        for (int i = start; i < end; i++) {
          window.add(i, lengths[i]);
        }
        for (int[] pack : window.pack(end == to)) {
          System.arraycopy(pack, 0, samples, packed, pack.length);
          packed += pack.length;
          starts[++packs] = packed;
        }
      }
    }
    return new PackPlan(samples, Arrays.copyOf(starts, packs + 1));
  }

  /** Items that are waiting to be packed. */
  static final class Window {
    private final int capacity;
    private final List<Item> waiting = new ArrayList<>();

    Window(int capacity) {
      this.capacity = capacity;
    }

    private record Item(int id, int length) {}

    /** A pack that is being filled. */
    private static final class Bin {
      private final List<Item> items = new ArrayList<>();
      private int room;

      Bin(int room) {
        this.room = room;
      }
    }

    void add(int id, int length) {
      if (length > capacity) {
        throw new IllegalArgumentException(
            "a sample of " + length + " tokens exceeds a pack of " + capacity);
      }
      waiting.add(new Item(id, length));
    }

    /** The ids of what is waiting, which no longer waits then. */
    int[] takeWaiting() {
      int[] ids = waiting.stream().mapToInt(Item::id).toArray();
      waiting.clear();
      return ids;
    }

    /**
     * Packs what is waiting; unless it is the last time, the items of the last pack wait on.
     *
     * @return the ids of each pack
     */
    List<int[]> pack(boolean last) {
      waiting.sort((a, b) -> b.length() - a.length());
      List<Bin> bins = new ArrayList<>();
      TreeMap<Integer, Deque<Bin>> byRoom = new TreeMap<>();
      for (Item item : waiting) {
        Map.Entry<Integer, Deque<Bin>> fullest = byRoom.ceilingEntry(item.length());
        Bin bin;
        if (fullest == null) {
          bin = new Bin(capacity);
          bins.add(bin);
        } else {
          bin = fullest.getValue().removeFirst();
          if (fullest.getValue().isEmpty()) {
            byRoom.remove(fullest.getKey());
          }
        }
        bin.items.add(item);
        bin.room -= item.length();
        byRoom.computeIfAbsent(bin.room, r -> new ArrayDeque<>()).add(bin);
      }
      waiting.clear();
      if (!last && !bins.isEmpty()) {
        waiting.addAll(bins.removeLast().items);
      }
      List<int[]> packs = new ArrayList<>(bins.size());
      bins.forEach(b -> packs.add(b.items.stream().mapToInt(Item::id).toArray()));
      return packs;
    }
  }
}
