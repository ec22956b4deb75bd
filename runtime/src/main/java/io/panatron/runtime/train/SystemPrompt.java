package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** {@code --system}: the prompt itself, or the name of a .txt file that holds it. */
final class SystemPrompt {
  private SystemPrompt() {}

  static @Nullable String read(@Nullable String given) {
    if (given == null || !given.endsWith(".txt")) {
      return given;
    }
    try {
      return Files.readString(Path.of(given)).strip();
    } catch (IOException e) {
      throw new UserError(
          "--system %s cannot be read (%s); give the prompt itself or a UTF-8 text file."
              .formatted(given, e),
          e);
    }
  }
}
