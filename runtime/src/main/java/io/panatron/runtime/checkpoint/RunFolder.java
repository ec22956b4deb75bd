package io.panatron.runtime.checkpoint;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Makes the folder a run leaves its files in: {@code save/v{N}-YYYYmmdd-HHMMSS} or {@code save}.
 */
public final class RunFolder {
  private static final Pattern VERSION = Pattern.compile("v(\\d{1,9})-\\d{8}-\\d{6}");
  private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss");

  private RunFolder() {}

  /**
   * Creates the folder of a new run. Processes that start at the same time get different numbers.
   *
   * @param save {@code --save}; created where missing
   * @param addVersion {@code --add_version}: a fresh sub-folder with the next free number, else
   *     {@code save} itself
   * @param now local time, for the name
   * @throws UserError where the folder cannot be made
   */
  public static Path create(Path save, boolean addVersion, LocalDateTime now) {
    try {
      Files.createDirectories(save);
      return addVersion ? createVersion(save, now) : save;
    } catch (IOException e) {
      throw new UserError(
          "--save %s cannot be created: %s; give a folder that can be written."
              .formatted(save, FileFailure.reason(e)),
          e);
    }
  }

  private static Path createVersion(Path save, LocalDateTime now) throws IOException {
    for (long number = nextNumber(save); ; number++) {
      // Two folders of one number can differ in time, so the number itself is claimed first; a
      // claim
      // that a dead process left costs one number.
      Path claim = save.resolve(".v" + number + ".claim");
      try {
        Files.createFile(claim);
      } catch (FileAlreadyExistsException e) {
        continue;
      }
      try {
        if (nextNumber(save) <= number) {
          return Files.createDirectory(save.resolve("v" + number + "-" + TIME.format(now)));
        }
      } finally {
        Files.delete(claim);
      }
    }
  }

  private static long nextNumber(Path save) throws IOException {
    try (Stream<Path> files = Files.list(save)) {
      return files
          .map(file -> VERSION.matcher(String.valueOf(file.getFileName())))
          .filter(Matcher::matches)
          .mapToLong(matcher -> Long.parseLong(matcher.group(1)) + 1)
          .max()
          .orElse(0);
    }
  }

  static boolean isVersionName(String name) {
    return VERSION.matcher(name).matches();
  }
}
