package io.panatron.cli;

import io.panatron.bindings.posix.Posix;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * Gives the program the Vector API, and the other options of {@code java.options}, under a plain
 * {@code java -jar trainer.jar}.
 *
 * <p>The Vector API is an incubator module: a jar's manifest cannot ask for it, only the command
 * line can. So the process reads its own command line, puts the missing options in front, and
 * replaces itself by that command. It stays one process: streams, signals, exit status, process
 * number and working folder are what they were, and nobody is left to wait for a child.
 */
final class SelfLaunch {
  private static final String VECTOR_MODULE = "jdk.incubator.vector";
  private static final String OPTIONS = "java.options";
  private static final String COLLECTOR = "-XX:\\+Use\\w+GC";
  private static final Path COMMAND_LINE = Path.of("/proc/self/cmdline");
  private static final Path EXECUTABLE = Path.of("/proc/self/exe");

  private SelfLaunch() {}

  /**
   * Returns if the Vector API is there; otherwise this process starts over with it, and the call
   * does not return. Costs about 0.15 s when it starts over, so {@code Main} calls it first.
   *
   * @throws UserError if this Java cannot be given the Vector API
   */
  static void ensureVectorApi() {
    if (ModuleLayer.boot().findModule(VECTOR_MODULE).isPresent()) {
      return;
    }
    if (ModuleFinder.ofSystem().find(VECTOR_MODULE).isEmpty()) {
      throw new UserError(
          "The Java at "
              + System.getProperty("java.home")
              + " lacks the module "
              + VECTOR_MODULE
              + ", which the CPU kernels are written with: use a complete JDK 25 or later.");
    }
    try {
      Path executable = Files.readSymbolicLink(EXECUTABLE);
      if (!executable.endsWith("java")) {
        throw new IOException("the process runs " + executable);
      }
      Posix.replaceProgram(
          executable,
          withOptions(Files.readAllBytes(COMMAND_LINE), System.getenv(), archiveOptions(jar())));
    } catch (IOException e) {
      throw new UserError(
          "The process could not start over with the Vector API ("
              + e.getMessage()
              + "): add the option --add-modules "
              + VECTOR_MODULE
              + " after java.",
          e);
    }
  }

  /**
   * The command line with the options in front of all others, without our choice of a collector if
   * the user made one.
   *
   * @param commandLine the arguments from {@code argv[0]} on, each closed by a zero byte, as the
   *     kernel reports them
   * @param environment whose variables may hold further options of the user
   * @param further options beside those of {@code java.options}
   * @throws IOException if the options are there already, so that starting over would never end
   */
  static List<byte[]> withOptions(
      byte[] commandLine, Map<String, String> environment, List<String> further)
      throws IOException {
    List<byte[]> arguments = new ArrayList<>();
    int start = 0;
    for (int i = 0; i < commandLine.length; i++) {
      if (commandLine[i] == 0) {
        arguments.add(Arrays.copyOfRange(commandLine, start, i));
        start = i + 1;
      }
    }
    if (arguments.isEmpty()) {
      throw new IOException("its command line is hidden");
    }
    List<String> options = new ArrayList<>(options());
    if (arguments.size() > 1 && text(arguments.get(1)).equals(options.getFirst())) {
      throw new IOException("the module is missing although the option is given");
    }
    if (choosesCollector(arguments, environment)) {
      options.removeIf(option -> option.matches(COLLECTOR));
    }
    options.addAll(further);
    arguments.addAll(1, options.stream().map(o -> o.getBytes(StandardCharsets.US_ASCII)).toList());
    return arguments;
  }

  /**
   * What lets the Java machine take its classes from the archive that the launcher left beside the
   * jar; nothing where there is none, or an older one.
   */
  static List<String> archiveOptions(Path jar) throws IOException {
    Path archive = jar.resolveSibling("trainer.jsa");
    if (!Files.exists(archive)
        || Files.getLastModifiedTime(archive).compareTo(Files.getLastModifiedTime(jar)) <= 0) {
      return List.of();
    }
    return List.of("-XX:SharedArchiveFile=" + archive, "-Xlog:cds*=off", "-Xlog:aot*=off");
  }

  private static Path jar() throws IOException {
    try {
      return Path.of(SelfLaunch.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new IOException("the jar's place is no path", e);
    }
  }

  /** The lines of {@code java.options}; the first adds the Vector API. */
  static List<String> options() throws IOException {
    try (InputStream file = SelfLaunch.class.getResourceAsStream(OPTIONS)) {
      String text =
          new String(Objects.requireNonNull(file).readAllBytes(), StandardCharsets.US_ASCII);
      return text.lines().filter(line -> !line.isEmpty() && !line.startsWith("#")).toList();
    }
  }

  private static boolean choosesCollector(List<byte[]> arguments, Map<String, String> environment) {
    return Stream.concat(
            arguments.stream().map(SelfLaunch::text),
            Stream.of("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS")
                .flatMap(name -> Stream.of(environment.getOrDefault(name, "").split("\\s+"))))
        .anyMatch(option -> option.matches(COLLECTOR));
  }

  private static String text(byte[] argument) {
    return new String(argument, StandardCharsets.UTF_8);
  }
}
