package io.panatron.tests.fault;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A mistake that a user can make, and the words that the answer must contain.
 *
 * @param name what is wrong
 * @param setting makes the mistake in an empty folder and returns the command line that meets it
 * @param phrases what the sentence says, where it says it, and what it tells the user to do
 */
record BadInput(String name, Setting setting, List<String> phrases) {
  /** Makes files and a command line. */
  @FunctionalInterface
  interface Setting {
    TrainingCall in(Path folder) throws IOException;
  }

  static BadInput of(String name, Setting setting, String... phrases) {
    return new BadInput(name, setting, List.of(phrases));
  }

  /** A correct call that saves to {@code out} in the folder, as a start for a wrong one. */
  static TrainingCall good(Path folder) {
    return TrainingCall.into(folder.resolve("out"));
  }

  TrainingCall make(Path folder) {
    try {
      Files.createDirectories(folder);
      return setting.in(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String toString() {
    return name;
  }
}
