package io.panatron.runtime.data;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * When rows are tokenized and where tokens are kept.
 *
 * @param lazy {@code --lazy_tokenize}: during training rather than before; null leaves that to what
 *     else is asked for
 * @param threads threads that tokenize before training
 * @param cache folder that keeps tokenized files for later runs, {@code --load_from_cache_file};
 *     null for none
 * @param training {@code --cached_dataset}: tokenized files, or folders of them
 * @param validation {@code --cached_val_dataset}
 */
public record Tokens(
    @Nullable Boolean lazy,
    int threads,
    @Nullable Path cache,
    List<String> training,
    List<String> validation) {
  /** During training, kept nowhere. */
  public static final Tokens LAZY = new Tokens(null, 1, null, List.of(), List.of());

  public Tokens {
    training = List.copyOf(training);
    validation = List.copyOf(validation);
  }
}
