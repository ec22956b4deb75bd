package io.panatron.runtime.data;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Encodes a text word by word, so that only words not met lately go to the tokenizers library,
 * which spends most of its time on cutting texts and on positions of characters that nobody asks
 * for.
 *
 * <p>The ids are those of the whole text, since the tokenizers that have {@link WordRules} encode
 * each word by itself and their patterns find a word alone as they find it in its text. Safe for
 * use by several threads.
 */
final class WordEncoder {
  private record Added(char[] text, int id) {}

  private final WordPattern pattern;
  private final boolean composed;
  private final List<Added> added;
  private final BitSet starts = new BitSet();
  private final Function<String, int[]> library;
  private final WordCache cache = new WordCache();

  private WordEncoder(WordRules rules, List<Added> added, Function<String, int[]> library) {
    this.pattern = rules.pattern();
    this.composed = rules.composed();
    this.added = added;
    this.library = library;
    added.forEach(token -> starts.set(token.text()[0]));
  }

  /**
   * An encoder, or null if an added token is none to the library.
   *
   * @param library encodes by the tokenizers library
   */
  static @Nullable WordEncoder of(WordRules rules, Function<String, int[]> library) {
    List<Added> added = new ArrayList<>();
    for (String text : rules.added()) {
      int[] ids = library.apply(text);
      if (ids.length != 1) {
        return null;
      }
      added.add(new Added(text.toCharArray(), ids[0]));
    }
    // Of those that start at one place the longest is taken.
    added.sort(Comparator.comparingInt((Added token) -> token.text().length).reversed());
    return new WordEncoder(rules, List.copyOf(added), library);
  }

  /** The ids of a text, or null if the library must see all of it. */
  int @Nullable [] encode(String text) {
    char[] chars = text.toCharArray();
    if (!WordPattern.covers(chars)
        || composed && !isAscii(chars) && !Normalizer.isNormalized(text, Normalizer.Form.NFC)) {
      return null;
    }
    Ids ids = new Ids(chars.length / 3 + 8);
    int from = 0;
    for (int i = 0; i < chars.length; i++) {
      Added token = starts.get(chars[i]) ? addedAt(chars, i) : null;
      if (token != null) {
        words(chars, from, i, ids);
        ids.add(token.id());
        from = i + token.text().length;
        i = from - 1;
      }
    }
    words(chars, from, chars.length, ids);
    return ids.toArray();
  }

  private static boolean isAscii(char[] text) {
    for (char c : text) {
      if (c >= 0x80) {
        return false;
      }
    }
    return true;
  }

  private @Nullable Added addedAt(char[] text, int i) {
    for (Added token : added) {
      int end = i + token.text().length;
      if (end <= text.length && Arrays.equals(text, i, end, token.text(), 0, token.text().length)) {
        return token;
      }
    }
    return null;
  }

  private void words(char[] text, int from, int to, Ids ids) {
    for (int i = from; i < to; ) {
      int end = pattern.end(text, i, to);
      int[] known = cache.get(text, i, end);
      if (known == null) {
        known = library.apply(new String(text, i, end - i));
        cache.put(text, i, end, known);
      }
      ids.add(known);
      i = end;
    }
  }

  /** A growing list of ids. */
  private static final class Ids {
    private int[] ids;
    private int size;

    Ids(int capacity) {
      ids = new int[capacity];
    }

    void add(int id) {
      reserve(1);
      ids[size++] = id;
    }

    void add(int[] more) {
      reserve(more.length);
      // Most words are one token or two, for which a call of arraycopy is dear.
      for (int id : more) {
        ids[size++] = id;
      }
    }

    private void reserve(int more) {
      if (size + more > ids.length) {
        ids = Arrays.copyOf(ids, Math.max(size + more, 2 * ids.length));
      }
    }

    int[] toArray() {
      return Arrays.copyOf(ids, size);
    }
  }
}
