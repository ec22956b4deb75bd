package io.panatron.runtime.data;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import io.panatron.runtime.UserError;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * A Hugging Face {@code tokenizer.json}, run by the Rust tokenizers.
 *
 * <p>Text is encoded without added begin or end tokens, while special tokens written in the text
 * are recognised. Safe for use by several threads; the native memory ends with {@link #close}.
 */
public final class HfTokenizer implements AutoCloseable {
  private static final TokenizersLibrary NATIVE = TokenizersLibrary.LIB;

  private final TokenizerFiles files;
  private final AddedTokens added;
  private final Path folder;
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final @Nullable WordEncoder words;
  private long handle;

  private HfTokenizer(Path folder, TokenizerFiles files, AddedTokens added, long handle) {
    this.folder = folder;
    this.files = files;
    this.added = added;
    this.handle = handle;
    WordRules rules = files.words();
    this.words = rules == null ? null : WordEncoder.of(rules, text -> encodeWhole(text, false));
  }

  /**
   * Opens the tokenizer of a model folder.
   *
   * @throws UserError if a file is missing or broken
   */
  public static HfTokenizer open(Path folder) {
    return open(folder, TokenizerFiles.read(folder), new AddedTokens(Map.of()));
  }

  /**
   * Opens the tokenizer of a model folder and adds special tokens to it.
   *
   * @throws UserError if a file is missing or broken, or a text cannot become a token
   */
  public static HfTokenizer open(Path folder, List<String> specialTokens) {
    if (specialTokens.isEmpty()) {
      return open(folder);
    }
    TokenizerFiles files = TokenizerFiles.read(folder);
    AddedTokens added = AddedTokens.to(files.tokenizerJson(), specialTokens);
    HfTokenizer tokenizer = open(folder, files.with(added), added);
    boolean right = false;
    try {
      added.ids().forEach(tokenizer::requireToken);
      right = true;
      return tokenizer;
    } finally {
      if (!right) {
        tokenizer.close();
      }
    }
  }

  private void requireToken(String text, int id) {
    int[] encoded = encode(text);
    if (encoded.length != 1 || encoded[0] != id) {
      throw new UserError(
          "--new_special_tokens '%s' does not become token %d of the tokenizer in %s, but %s; choose another text"
              .formatted(text, id, folder, Arrays.toString(encoded)));
    }
  }

  private static HfTokenizer open(Path folder, TokenizerFiles files, AddedTokens added) {
    TokenizerLibrary.load();
    long handle;
    try {
      handle = NATIVE.createTokenizerFromString(files.tokenizerJson());
    } catch (RuntimeException e) {
      throw new UserError(
          folder.resolve("tokenizer.json")
              + " is refused by the tokenizers library ("
              + e.getMessage()
              + "); copy the file again, or save it with a recent transformers",
          e);
    }
    // A tokenizer.json may carry the truncation and padding of its last use.
    NATIVE.disableTruncation(handle);
    NATIVE.disablePadding(handle);
    return new HfTokenizer(folder, files, added, handle);
  }

  /** The token ids of a text. */
  public int[] encode(String text) {
    lock.readLock().lock();
    try {
      open();
      int[] ids = words == null ? null : words.encode(text);
      return ids == null ? encodeWhole(text, false) : ids;
    } finally {
      lock.readLock().unlock();
    }
  }

  /** By the library alone; the lock is held, or nobody else knows this tokenizer yet. */
  int[] encodeWhole(String text, boolean addSpecialTokens) {
    long encoding = NATIVE.encode(open(), text, addSpecialTokens);
    long[] ids;
    try {
      ids = NATIVE.getTokenIds(encoding);
    } finally {
      NATIVE.deleteEncoding(encoding);
    }
    int[] result = new int[ids.length];
    for (int i = 0; i < ids.length; i++) {
      result[i] = (int) ids[i];
    }
    return result;
  }

  private String beginToken() {
    String text = specialTokens().get("bos_token");
    if (text == null || bosId().isEmpty()) {
      throw new UserError(
          "the tokenizer in "
              + folder
              + " has add_bos_token but names no bos_token of its vocabulary; set bos_token in"
              + " tokenizer_config.json");
    }
    return text;
  }

  /** Everything that decides how texts become tokens. */
  String identity() {
    return files.tokenizerJson() + new TreeMap<>(files.specialTokens());
  }

  /** The text of token ids. */
  public String decode(int[] ids, boolean skipSpecialTokens) {
    long[] wide = new long[ids.length];
    for (int i = 0; i < ids.length; i++) {
      wide[i] = ids[i];
    }
    lock.readLock().lock();
    try {
      return NATIVE.decode(open(), wide, skipSpecialTokens);
    } finally {
      lock.readLock().unlock();
    }
  }

  private long open() {
    if (handle == 0) {
      throw new IllegalStateException("the tokenizer of " + folder + " is closed");
    }
    return handle;
  }

  /**
   * An upper bound of {@code encode(text).length} without tokenizing, or -1 if this kind of
   * tokenizer has none.
   */
  public int maxTokens(String text) {
    TokenizerFiles.ByteBound bound = files.byteBound();
    if (bound == null) {
      return -1;
    }
    int bytes = text.getBytes(StandardCharsets.UTF_8).length;
    long most = (long) bytes * (bytes == text.length() ? bound.ascii() : bound.other());
    return (int) Math.min(most, Integer.MAX_VALUE);
  }

  /** The special tokens that its files lack. */
  public AddedTokens addedTokens() {
    return added;
  }

  /** One more than the greatest token id. */
  public int vocabularySize() {
    return files.vocabularySize();
  }

  public OptionalInt bosId() {
    return id("bos_token");
  }

  public OptionalInt eosId() {
    return id("eos_token");
  }

  /** The pad token, else the end token. */
  public OptionalInt padId() {
    OptionalInt pad = id("pad_token");
    return pad.isPresent() ? pad : eosId();
  }

  /** The id of a token by its exact text, special tokens only. */
  public OptionalInt idOf(String specialToken) {
    Integer id = files.ids().get(specialToken);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  private OptionalInt id(String name) {
    String text = files.specialTokens().get(name);
    return text == null ? OptionalInt.empty() : idOf(text);
  }

  /** {@code bos_token}, {@code eos_token}, {@code pad_token} and so on, with their texts. */
  public Map<String, String> specialTokens() {
    return files.specialTokens();
  }

  /**
   * The tokens that plain text begins with, as text; empty for none. {@code add_bos_token} of
   * {@code tokenizer_config.json} decides; without it they are those that the post-processor puts
   * before a letter, as Megatron-SWIFT asks it.
   *
   * @throws UserError if {@code bos_token} is asked for and there is none
   */
  public String beginText() {
    if (files.addBosToken() != null) {
      return files.addBosToken() ? beginToken() : "";
    }
    int[] all;
    int[] alone;
    lock.readLock().lock();
    try {
      alone = encodeWhole("a", false);
      all = encodeWhole("a", true);
    } finally {
      lock.readLock().unlock();
    }
    int before = 0;
    while (before < all.length && all[before] != alone[0]) {
      before++;
    }
    return before == 0 ? "" : decode(Arrays.copyOf(all, before), false);
  }

  /** The source of the tokenizer's chat template, if it has one. */
  public @Nullable String chatTemplate() {
    return files.chatTemplate();
  }

  public Path folder() {
    return folder;
  }

  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      if (handle != 0) {
        NATIVE.deleteTokenizer(handle);
        handle = 0;
      }
    } finally {
      lock.writeLock().unlock();
    }
  }
}
