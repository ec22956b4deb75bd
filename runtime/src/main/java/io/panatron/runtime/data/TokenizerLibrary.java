package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/**
 * Loads the CPU tokenizers library that lies in the {@code ai.djl.huggingface:tokenizers} jar.
 *
 * <p>DJL's own loader is not used: where it finds a GPU it downloads another build, it leaves its
 * cache in the home folder, and its entry point reports to a telemetry server. Loading is done once
 * per process by the virtual machine's class initialisation.
 */
final class TokenizerLibrary {
  private static final String VERSION = "0.36.0";
  private static final String FILE = "libtokenizers.so";

  private TokenizerLibrary() {}

  /** Makes the native methods of {@code TokenizersLibrary} callable. */
  static void load() {
    try {
      Loaded.check();
    } catch (ExceptionInInitializerError e) {
      if (e.getCause() instanceof UserError cause) {
        throw cause;
      }
      throw e;
    }
  }

  /** Initialised at most once by the virtual machine, which is the lock that is needed. */
  private static final class Loaded {
    static {
      loadFromJar();
    }

    static void check() {}
  }

  // Restricted, since native code can break the machine: this one is a dependency's.
  @SuppressWarnings("restricted")
  private static void loadFromJar() {
    String machine = System.getProperty("os.arch").equals("aarch64") ? "aarch64" : "x86_64";
    String resource = "native/lib/linux-" + machine + "/cpu/" + FILE;
    ClassLoader loader = TokenizerLibrary.class.getClassLoader();
    IOException last = null;
    for (Path folder : folders()) {
      try {
        System.load(unpack(loader, resource, folder).toString());
        return;
      } catch (IOException e) {
        last = e;
      } catch (UnsatisfiedLinkError e) {
        last = new IOException(e); // for example a folder mounted noexec
      }
    }
    throw new UserError(
        "the tokenizer library cannot be unpacked or loaded from any of "
            + folders()
            + " ("
            + (last == null ? "no folder" : last.getMessage())
            + "); make one of them writable, with 15 MB free",
        last);
  }

  private static List<Path> folders() {
    String cache = System.getenv("XDG_CACHE_HOME");
    Path user =
        cache == null || cache.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(cache);
    String owner = System.getProperty("user.name").replaceAll("[^A-Za-z0-9._-]", "_");
    return List.of(
        user.resolve("panatron").toAbsolutePath(),
        Path.of(System.getProperty("java.io.tmpdir"), "panatron-" + owner).toAbsolutePath());
  }

  /** Writes to a name of its own and renames, so that concurrent starts never see half a file. */
  private static Path unpack(ClassLoader loader, String resource, Path folder) throws IOException {
    Path target = folder.resolve("tokenizers-" + VERSION).resolve(FILE);
    try (InputStream in = loader.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IOException(resource + " is not in the program's jar");
      }
      byte[] library = in.readAllBytes();
      if (Files.isRegularFile(target) && sameContent(target, library)) {
        return target;
      }
      Files.createDirectories(target.getParent());
      Path temporary = Files.createTempFile(target.getParent(), "unpacking", ".so");
      try {
        Files.write(temporary, library);
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(temporary);
      }
      return target;
    }
  }

  private static boolean sameContent(Path file, byte[] content) throws IOException {
    return Files.size(file) == content.length
        && java.util.Arrays.equals(Files.readAllBytes(file), content);
  }
}
