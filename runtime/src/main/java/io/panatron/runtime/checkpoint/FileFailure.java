package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import org.jspecify.annotations.Nullable;

/** Says in a few words why the file system refused something. */
final class FileFailure {
  private FileFailure() {}

  /** The reason without the path, which the sentence around it names. */
  static String reason(IOException failure) {
    return switch (failure) {
      case NoSuchFileException e -> "it does not exist";
      case AccessDeniedException e -> "permission denied";
      case FileAlreadyExistsException e -> "a file of that name is in its place";
      case FileSystemException e when e.getReason() != null -> firstLine(e.getReason());
      default -> firstLine(failure.getMessage());
    };
  }

  /** Whether the disk or the user's quota is full; the JDK gives only the system's text. */
  static boolean isDiskFull(IOException failure) {
    String message = String.valueOf(failure.getMessage());
    return message.contains("No space left on device") || message.contains("quota exceeded");
  }

  /** The first line of a message, without its full stop. */
  static String firstLine(@Nullable String message) {
    if (message == null || message.isBlank()) {
      return "no reason given";
    }
    String line = message.strip().lines().findFirst().orElse("").strip();
    return line.endsWith(".") ? line.substring(0, line.length() - 1) : line;
  }
}
