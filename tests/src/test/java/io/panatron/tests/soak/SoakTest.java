package io.panatron.tests.soak;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A thousand steps of random length need no more memory at their end than after a warm-up. */
class SoakTest {
  /** What classes and counters of a virtual machine that runs on may still take. */
  private static final long HEAP_GROWTH = 1 << 20;

  /**
   * The heap is touched from the start, so what grows is compiled code and its compiler. A leak of
   * one activation of a step, 10 KiB, would be 8 MiB in the 750 steps, one of all of them 500.
   */
  private static final long RESIDENT_GROWTH = 32 << 20;

  private record Change(long before, long after) {}

  @ParameterizedTest
  @CsvSource({"F32, 1000", "BF16, 400"})
  void memoryStaysTheSame(String dtype, int steps, @TempDir Path folder)
      throws IOException, InterruptedException, URISyntaxException {
    Path output = folder.resolve("output.txt");
    Process process = start(dtype, steps, output);
    try {
      assertThat(process.waitFor(300, TimeUnit.SECONDS)).as("the run ends").isTrue();
    } finally {
      process.destroyForcibly();
    }
    String text = Files.readString(output);
    assertThat(process.exitValue()).as(text).isZero();
    Map<String, Change> figures = read(text);
    System.out.println("Soak in " + dtype + ": " + figures);

    assertThat(figures.get("steps").after()).isGreaterThanOrEqualTo(steps);
    for (String constant : List.of("reserved", "used", "live", "peak")) {
      Change change = figures.get(constant);
      assertThat(change.after()).as(constant).isEqualTo(change.before()).isPositive();
    }
    assertGrowth("heap", figures, HEAP_GROWTH);
    assertGrowth("resident", figures, RESIDENT_GROWTH);
  }

  private static void assertGrowth(String name, Map<String, Change> figures, long most) {
    Change change = figures.get(name);
    assertThat(change.after() - change.before()).as("growth of " + name).isLessThan(most);
  }

  private static Map<String, Change> read(String text) {
    Map<String, Change> figures = new HashMap<>();
    for (String line : text.lines().filter(l -> l.matches("\\w+ \\d+ \\d+")).toList()) {
      String[] words = line.split(" ", 3);
      figures.put(words[0], new Change(Long.parseLong(words[1]), Long.parseLong(words[2])));
    }
    return figures;
  }

  private static Process start(String dtype, int steps, Path output)
      throws IOException, URISyntaxException {
    Path model =
        Path.of(Objects.requireNonNull(SoakTest.class.getResource("/golden/qwen3/model")).toURI());
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            // One fixed heap, touched at once: growth of the process is not the heap's.
            "-Xms192m",
            "-Xmx192m",
            "-XX:+AlwaysPreTouch",
            "-XX:+UseSerialGC",
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            SoakRun.class.getName(),
            model.toString(),
            dtype,
            Integer.toString(steps))
        .redirectErrorStream(true)
        .redirectOutput(output.toFile())
        .start();
  }
}
