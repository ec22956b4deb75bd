package io.panatron.runtime.data;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Token ids of words that were met lately. There is room for two words of one hash, of which a new
 * one takes the older one's place, so memory is bounded: about 30 MB when full. Safe for use by
 * several threads, without locks.
 */
final class WordCache {
  private static final int SET_BITS = 17;

  /** Longer words come back too seldom to be kept. */
  private static final int MAX_CHARS = 48;

  private record Entry(char[] word, int[] ids) {
    boolean is(char[] text, int from, int to) {
      return Arrays.equals(text, from, to, word, 0, word.length);
    }
  }

  private final AtomicReferenceArray<Entry> entries = new AtomicReferenceArray<>(2 << SET_BITS);

  /** The ids of a word, not to be changed; null if it is not here. */
  int @Nullable [] get(char[] text, int from, int to) {
    int set = set(text, from, to);
    Entry entry = entries.getAcquire(set);
    if (entry != null && entry.is(text, from, to)) {
      return entry.ids;
    }
    entry = entries.getAcquire(set + 1);
    return entry != null && entry.is(text, from, to) ? entry.ids : null;
  }

  void put(char[] text, int from, int to, int[] ids) {
    if (to - from <= MAX_CHARS) {
      int set = set(text, from, to);
      Entry entry = new Entry(Arrays.copyOfRange(text, from, to), ids);
      entries.setRelease(set + 1, entries.getAcquire(set));
      entries.setRelease(set, entry);
    }
  }

  /** Where the entries of a word stand. */
  private static int set(char[] text, int from, int to) {
    int hash = 0;
    for (int i = from; i < to; i++) {
      hash = 31 * hash + text[i];
    }
    return hash * 0x9e3779b9 >>> 32 - SET_BITS << 1;
  }
}
