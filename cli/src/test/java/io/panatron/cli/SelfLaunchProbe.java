package io.panatron.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.NullMarked;

/** A program that starts over as the trainer does, then tells what became of it. */
@NullMarked
final class SelfLaunchProbe {
  static final int EXIT_STATUS = 7;

  private SelfLaunchProbe() {}

  /** Prints one line per fact, echoes its input, and ends with {@link #EXIT_STATUS}. */
  public static void main(String[] arguments) throws IOException {
    SelfLaunch.ensureVectorApi();
    System.out.println(
        "vector " + ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent());
    System.out.println("pid " + ProcessHandle.current().pid());
    System.out.println("property " + Objects.requireNonNull(System.getProperty("probe")));
    System.out.println("heap " + Runtime.getRuntime().maxMemory());
    for (String argument : List.of(arguments)) {
      System.out.println("argument " + HexFormat.of().formatHex(argument.getBytes(UTF_8)));
    }
    System.out.flush();
    System.in.transferTo(System.out);
    System.out.flush();
    System.exit(EXIT_STATUS);
  }
}
