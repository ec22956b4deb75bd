package io.panatron.bindings;

/**
 * One shared library as it lies in a jar: where to find it and what its bytes must be.
 *
 * @param resource path inside the class path, without a leading slash
 * @param name file name that it gets on disk; other libraries find it by this name
 * @param bytes exact size
 * @param sha256 digest of the whole file, lower-case hexadecimal
 */
record LibraryFile(String resource, String name, long bytes, String sha256) {
  LibraryFile {
    if (bytes <= 0 || sha256.length() != 64 || name.contains("/")) {
      throw new IllegalArgumentException(
          "library %s: %d bytes, digest of %d digits".formatted(name, bytes, sha256.length()));
    }
  }
}
