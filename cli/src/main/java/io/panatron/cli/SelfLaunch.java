package io.panatron.cli;

import io.panatron.bindings.posix.Posix;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Gives the program the Vector API under a plain {@code java -jar trainer.jar}.
 *
 * <p>The Vector API is an incubator module: a jar's manifest cannot ask for it, only the command
 * line can. So the process reads its own command line, puts the missing option in front, and
 * replaces itself by that command. It stays one process: streams, signals, exit status, process
 * number and working folder are what they were, and nobody is left to wait for a child.
 */
final class SelfLaunch {
  private static final String VECTOR_MODULE = "jdk.incubator.vector";
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
      Posix.replaceProgram(executable, withVectorApi(Files.readAllBytes(COMMAND_LINE)));
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
   * The command line with the option in front of all others.
   *
   * @param commandLine the arguments from {@code argv[0]} on, each closed by a zero byte, as the
   *     kernel reports them
   * @throws IOException if the option is there already, so that starting over would never end
   */
  static List<byte[]> withVectorApi(byte[] commandLine) throws IOException {
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
    byte[] option = ("--add-modules=" + VECTOR_MODULE).getBytes(StandardCharsets.US_ASCII);
    if (arguments.size() > 1 && Arrays.equals(arguments.get(1), option)) {
      throw new IOException("the module is missing although the option is given");
    }
    arguments.add(1, option);
    return arguments;
  }
}
