package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.DataFormat;
import io.panatron.runtime.data.source.RowCursor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Tokenizes data files before training, and with a folder keeps the result for later runs with the
 * same data, tokenizer, template, loss weights and columns.
 */
final class TokenCache {
  /** How files that are being written are named; a killed run leaves one. */
  static final String UNFINISHED = "unfinished-";

  /** The folder in that of the cache that holds validation data, so that nobody trains on them. */
  static final String VALIDATION = "validation";

  private final @Nullable Path folder;
  private final SampleEncoder encoder;
  private final int threads;
  private int reused;
  private int made;

  /**
   * Makes a cache.
   *
   * @param folder where tokenized files are kept; null keeps them for this run only
   */
  TokenCache(@Nullable Path folder, SampleEncoder encoder, int threads) {
    this.folder = folder;
    this.encoder = encoder;
    this.threads = threads;
  }

  /** What became of the files opened so far, for the user; null if there were none. */
  @Nullable String describe() {
    if (reused + made == 0) {
      return null;
    }
    return "Tokens            of "
        + made
        + (made == 1 ? " file made, of " : " files made, of ")
        + reused
        + " reused"
        + (folder == null ? "" : " in " + folder);
  }

  /** A name for a file in the making: no name of a finished one, and with ordinary rights. */
  static Path unfinished(Path folder) {
    return folder.resolve(UNFINISHED + UUID.randomUUID() + ".part");
  }

  /**
   * The tokenized rows of a data file.
   *
   * @param validation whether they are kept among those for validation
   */
  SampleFile open(Path input, RowParser parser, boolean validation) {
    try {
      return folder == null
          ? temporary(input, parser)
          : kept(validation ? folder.resolve(VALIDATION) : folder, input, parser);
    } catch (IOException e) {
      throw new UserError(
          "the tokens of "
              + input
              + " cannot be written"
              + (folder == null ? " to a temporary file" : " to " + folder)
              + " ("
              + e
              + "); free space, or "
              + (folder == null
                  ? "give --load_from_cache_file true and --token_cache"
                  : "choose another --token_cache"),
          e);
    }
  }

  private TokenFile temporary(Path input, RowParser parser) throws IOException {
    Path file = Files.createTempFile("panatron-", TokenFile.EXTENSION);
    // Where a signal ends the program meanwhile.
    file.toFile().deleteOnExit();
    try {
      write(input, parser, file);
      return reopen(file);
    } finally {
      // The mapping keeps the content, so that nothing is left even if the process is killed.
      Files.delete(file);
    }
  }

  private TokenFile kept(Path folder, Path input, RowParser parser) throws IOException {
    Path file = folder.resolve(name(input, parser));
    TokenFile old = Files.exists(file) ? TokenFile.open(file) : null;
    if (old != null) {
      TokenFile.Description d = old.description();
      if (d.encoder().equals(encoder.identity())
          && d.parser().equals(parser.identity())
          && d.stamp().matches(input)) {
        reused++;
        return old;
      }
      old.close();
    }
    Files.createDirectories(folder);
    Path fresh = unfinished(folder);
    fresh.toFile().deleteOnExit();
    boolean done = false;
    try {
      write(input, parser, fresh);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
      done = true;
    } finally {
      if (!done) {
        Files.deleteIfExists(fresh);
      }
    }
    return reopen(file);
  }

  private static TokenFile reopen(Path file) {
    TokenFile opened = TokenFile.open(file);
    if (opened == null) {
      throw new IllegalStateException(file + " was not written as it should be");
    }
    return opened;
  }

  private void write(Path input, RowParser parser, Path file) throws IOException {
    // Noted first: a change while the rows are read shows as a difference later.
    InputStamp stamp = InputStamp.of(input);
    try (RowCursor rows = DataFormat.cursor(input);
        TokenFileWriter out = new TokenFileWriter(file)) {
      new Tokenization(parser, encoder, threads).run(rows, out);
      out.finish(
          new TokenFile.Description(
              input.toString(), stamp, encoder.identity(), parser.identity()));
    }
    made++;
  }

  /** The same name for the same input and settings, so that a changed input replaces its tokens. */
  private String name(Path input, RowParser parser) {
    MessageDigest digest = InputStamp.sha256Digest();
    for (String part :
        new String[] {
          input.toAbsolutePath().normalize().toString(), encoder.identity(), parser.identity()
        }) {
      digest.update(part.getBytes(StandardCharsets.UTF_8));
      digest.update((byte) 0);
    }
    String hash = HexFormat.of().formatHex(digest.digest(), 0, 8);
    return input.getFileName() + "-" + hash + TokenFile.EXTENSION;
  }
}
