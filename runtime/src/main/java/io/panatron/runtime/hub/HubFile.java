package io.panatron.runtime.hub;

import org.jspecify.annotations.Nullable;

/**
 * A file of a repository.
 *
 * @param path with {@code /}, relative and within the repository
 * @param size bytes; -1 where the hub does not say
 * @param etag SHA-256 of a large file's content (64 digits), Git's SHA-1 of a small one's (40
 *     digits), or null where the hub does not say
 */
record HubFile(String path, long size, @Nullable String etag) {
  /** Whether a path of a stranger stays within its folder. */
  static boolean isSafe(String path) {
    if (path.isEmpty() || path.length() > 1000 || path.startsWith("/") || path.contains("\\")) {
      return false;
    }
    for (String part : path.split("/", -1)) {
      if (part.isEmpty() || part.equals(".") || part.equals("..")) {
        return false;
      }
    }
    return path.chars().allMatch(c -> c >= ' ' && c != 0x7f && c != ':');
  }

  /** The name without folders. */
  String name() {
    return path.substring(path.lastIndexOf('/') + 1);
  }
}
