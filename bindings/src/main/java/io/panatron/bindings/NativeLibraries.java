package io.panatron.bindings;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Brings the CPU path's native libraries from the class path into this process: unpacks them once
 * into a folder of the user's cache and loads them from there, OpenMP's runtime before oneDNN, so
 * that no library of the system is taken in their place.
 *
 * <p>Several processes may start at once: a library appears under its name only when it is whole. A
 * cache that can be neither used nor written is replaced, for this process, by a private temporary
 * folder, and one warning says so.
 *
 * <p>Cost: about 20 ms when the cache is warm; the first start also writes 93 MB.
 */
public final class NativeLibraries {
  /** The environment variable that names the cache folder. */
  public static final String CACHE_VARIABLE = "PANATRON_CACHE";

  private static final String FOLDER = "org/bytedeco/dnnl/linux-x86_64/";
  private static final String ONEDNN_VERSION = "3.13-1.5.14";
  // In loading order. A new version of the jar changes these numbers; a test compares them with the
  // jar.
  static final List<LibraryFile> ONEDNN =
      List.of(
          new LibraryFile(
              FOLDER + "libgomp.so.1",
              "libgomp.so.1",
              298_776,
              "d46f9225c1883039e8a6853e6d96ca1af11d034ce186a090952e4a7c8a7c2fdc"),
          new LibraryFile(
              FOLDER + "libdnnl.so.3",
              "libdnnl.so.3",
              92_850_136,
              "3610657c35381b06694034b677cf73f28086495aba51ecf0cfb5b6511652a443"));

  private static final Logger LOG = System.getLogger(NativeLibraries.class.getName());

  private NativeLibraries() {}

  /**
   * The cache folder that an environment asks for: {@code PANATRON_CACHE}, else {@code panatron}
   * under {@code XDG_CACHE_HOME}, else {@code .cache/panatron} under {@code HOME}.
   *
   * @return null where the environment names none of them
   */
  public static @Nullable Path cacheFolder(Map<String, String> environment) {
    String own = environment.getOrDefault(CACHE_VARIABLE, "");
    if (!own.isBlank()) {
      return Path.of(own);
    }
    String xdg = environment.getOrDefault("XDG_CACHE_HOME", "");
    if (xdg.startsWith("/")) { // its specification: relative paths are to be ignored
      return Path.of(xdg, "panatron");
    }
    String home = environment.getOrDefault("HOME", "");
    return home.startsWith("/") ? Path.of(home, ".cache", "panatron") : null;
  }

  /**
   * Makes oneDNN's functions visible to {@code SymbolLookup.loaderLookup()} of this class's loader.
   * Repeating the call with the same folder does nothing more.
   *
   * @param cacheFolder where unpacked libraries are kept, or null for none
   * @return the folder the libraries were loaded from; a temporary one is already deleted again
   * @throws NativeLibraryException on another platform, or where the libraries can be neither
   *     unpacked nor loaded
   */
  public static Path loadOneDnn(@Nullable Path cacheFolder) {
    requireLinuxOnX86();
    String problem = "no cache folder is known (HOME is not set)";
    if (cacheFolder != null) {
      Path folder = oneDnnFolder(cacheFolder);
      try {
        unpack(folder);
        load(folder);
        return folder;
      } catch (IOException e) {
        problem = "the cache folder " + folder + " cannot be used (" + reason(e) + ")";
      }
    }
    LOG.log(
        Level.WARNING,
        "{0}; oneDNN is unpacked to a temporary folder at each start. Set {1} to a writable"
            + " folder.",
        problem,
        CACHE_VARIABLE);
    return loadFromTemporaryFolder(problem);
  }

  static Path oneDnnFolder(Path cacheFolder) {
    String digest = ONEDNN.getLast().sha256().substring(0, 12);
    return cacheFolder.toAbsolutePath().resolve("native").resolve(ONEDNN_VERSION + "-" + digest);
  }

  /** Makes sure that the folder holds the libraries, whole; see {@link LibraryUnpacker}. */
  static void unpack(Path folder) throws IOException {
    LibraryUnpacker unpacker = new LibraryUnpacker(folder, NativeLibraries.class.getClassLoader());
    for (LibraryFile file : ONEDNN) {
      unpacker.provide(file);
    }
  }

  private static Path loadFromTemporaryFolder(String problem) {
    try {
      Path folder = Files.createTempDirectory("panatron-native-");
      try {
        unpack(folder);
        load(folder);
        return folder;
      } finally {
        // What is mapped stays mapped: deleting now leaves nothing behind however the process ends.
        for (LibraryFile file : ONEDNN) {
          Files.deleteIfExists(folder.resolve(file.name()));
        }
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      throw new NativeLibraryException(
          ("oneDNN cannot be unpacked: %s, "
                  + "and neither can the temporary folder (%s); "
                  + "set %s to a writable folder with 100 MB free")
              .formatted(problem, reason(e), CACHE_VARIABLE),
          e);
    }
  }

  private static void load(Path folder) {
    for (LibraryFile file : ONEDNN) {
      Path path = folder.resolve(file.name());
      try {
        System.load(path.toString());
      } catch (UnsatisfiedLinkError e) {
        throw new NativeLibraryException(
            ("%s cannot be loaded (%s); "
                    + "it needs glibc 2.34 and libstdc++ of GCC 11 or newer, "
                    + "and a folder from which programs may run (set %s to another)")
                .formatted(path, e.getMessage(), CACHE_VARIABLE),
            e);
      }
    }
  }

  private static void requireLinuxOnX86() {
    String system = System.getProperty("os.name", "");
    String machine = System.getProperty("os.arch", "");
    if (!system.equals("Linux") || !machine.equals("amd64")) {
      throw new NativeLibraryException(
          "the CPU device needs Linux on x86-64, and this is %s on %s; run it there"
              .formatted(system, machine.toLowerCase(Locale.ROOT)),
          null);
    }
  }

  private static String reason(IOException e) {
    String kind = e.getClass().getSimpleName();
    if (e instanceof FileSystemException f) {
      return f.getReason() != null ? f.getReason() : kind + ": " + f.getFile();
    }
    return e.getMessage() != null ? e.getMessage() : kind;
  }
}
