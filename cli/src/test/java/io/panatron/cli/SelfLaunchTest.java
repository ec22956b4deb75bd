package io.panatron.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@NullMarked
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class SelfLaunchTest {
  /** The signal's number above 128, as shells and {@code Process} report it. */
  private static final int ENDED_BY_SIGTERM = 128 + 15;

  private static final int ENDED_BY_SIGKILL = 128 + 9;

  private static final List<String> FURTHER = List.of("-XX:SharedArchiveFile=a.jsa");

  @Test
  void aPlainJavaCommandGetsTheVectorApiInTheSameProcess() throws Exception {
    Process process = start(List.of("--enable-preview", "-Xmx64m"), List.of());
    process.getOutputStream().close();

    assertThat(lines(process)).contains("vector true", "pid " + process.pid(), "property a b");
    assertThat(process.waitFor()).isEqualTo(SelfLaunchProbe.EXIT_STATUS);
  }

  @Test
  void javaOptionsAreKept() throws Exception {
    long withOption = heap(start(List.of("-XX:+UseSerialGC", "-Xmx64m"), List.of()));
    long withLargerOption = heap(start(List.of("-XX:+UseSerialGC", "-Xmx128m"), List.of()));

    assertThat(withOption).isLessThanOrEqualTo(64L << 20);
    assertThat(withLargerOption).isGreaterThan(64L << 20);
  }

  @Test
  void argumentsArriveUnchanged() throws Exception {
    List<String> arguments = List.of("--name", "", "two words", "line\nbreak", "\"*$\\", "é漢");
    Process process = start(List.of(), arguments);
    process.getOutputStream().close();

    List<String> expected =
        arguments.stream()
            .map(a -> "argument " + HexFormat.of().formatHex(a.getBytes(UTF_8)))
            .toList();
    assertThat(lines(process)).containsSubsequence(expected);
  }

  @Test
  void standardInputIsReadByTheNewProgram() throws Exception {
    Process process = start(List.of(), List.of());
    try (OutputStream input = process.getOutputStream()) {
      input.write("typed\n".getBytes(UTF_8));
    }
    assertThat(lines(process)).endsWith("typed");
  }

  @Test
  void signalsEndTheNewProgram() throws Exception {
    assertThat(statusAfter(ProcessHandle::destroy)).isEqualTo(ENDED_BY_SIGTERM);
    assertThat(statusAfter(ProcessHandle::destroyForcibly)).isEqualTo(ENDED_BY_SIGKILL);
  }

  @Test
  void theOptionsComeRightAfterTheProgramName() throws Exception {
    List<String> arguments = withOptions("java\0-jar\0trainer.jar\0--name\0\0", Map.of());

    assertThat(arguments)
        .startsWith("java", "--add-modules=jdk.incubator.vector", "-XX:+UseSerialGC")
        .endsWith("-XX:SharedArchiveFile=a.jsa", "-jar", "trainer.jar", "--name", "");
  }

  @Test
  void theUsersCollectorTakesThePlaceOfOurs() throws Exception {
    assertThat(withOptions("java\0-XX:+UseG1GC\0-jar\0a.jar\0", Map.of()))
        .containsOnlyOnce("-XX:+UseG1GC")
        .doesNotContain("-XX:+UseSerialGC");
    assertThat(
            withOptions(
                "java\0-jar\0a.jar\0", Map.of("JDK_JAVA_OPTIONS", "-Xmx1g -XX:+UseParallelGC")))
        .doesNotContain("-XX:+UseSerialGC");
  }

  @Test
  void anArchiveOfClassesIsUsedWhereItIsYoungerThanTheJar(@TempDir Path folder) throws Exception {
    Path jar = Files.createFile(folder.resolve("trainer.jar"));
    assertThat(SelfLaunch.archiveOptions(jar)).isEmpty();

    Path archive = Files.createFile(folder.resolve("trainer.jsa"));
    Files.setLastModifiedTime(jar, FileTime.fromMillis(1_000));
    Files.setLastModifiedTime(archive, FileTime.fromMillis(2_000));
    assertThat(SelfLaunch.archiveOptions(jar)).contains("-XX:SharedArchiveFile=" + archive);

    Files.setLastModifiedTime(jar, FileTime.fromMillis(3_000));
    assertThat(SelfLaunch.archiveOptions(jar)).isEmpty();
  }

  @Test
  void startingOverTwiceIsRefused() {
    assertThatThrownBy(
            () -> withOptions("java\0--add-modules=jdk.incubator.vector\0-jar\0a.jar\0", Map.of()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("although the option is given");
  }

  private static List<String> withOptions(String commandLine, Map<String, String> environment)
      throws IOException {
    return SelfLaunch.withOptions(commandLine.getBytes(UTF_8), environment, FURTHER).stream()
        .map(argument -> new String(argument, UTF_8))
        .toList();
  }

  private interface Signal {
    boolean send(ProcessHandle process);
  }

  /**
   * Sends a signal once the new program is known to run. Through the handle, since a {@code
   * Process} closes the program's input as well, which ends it too.
   */
  private static int statusAfter(Signal signal) throws Exception {
    Process process = start(List.of(), List.of());
    try (BufferedReader output = process.inputReader(UTF_8)) {
      String line = output.readLine();
      while (line != null && !line.startsWith("heap ")) {
        line = output.readLine();
      }
      assertThat(line).isNotNull();
      assertThat(signal.send(process.toHandle())).isTrue();
      return process.waitFor();
    }
  }

  private static long heap(Process process) throws IOException {
    process.getOutputStream().close();
    String line =
        lines(process).stream().filter(l -> l.startsWith("heap ")).findFirst().orElseThrow();
    return Long.parseLong(line.substring("heap ".length()));
  }

  private static List<String> lines(Process process) throws IOException {
    try (BufferedReader output = process.inputReader(UTF_8)) {
      return output.lines().toList();
    }
  }

  /** Standard error joins standard output, so that a failing probe shows its reason. */
  private static Process start(List<String> options, List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(options);
    command.addAll(
        List.of(
            "--enable-native-access=ALL-UNNAMED",
            "-Dprobe=a b",
            "-cp",
            System.getProperty("java.class.path"),
            SelfLaunchProbe.class.getName()));
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("LC_ALL", "C.UTF-8");
    return builder.start();
  }
}
