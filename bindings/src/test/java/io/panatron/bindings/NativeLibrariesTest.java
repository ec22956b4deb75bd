package io.panatron.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibrariesTest {
  @TempDir private Path temporary;

  @Test
  void theCacheFolderComesFromTheEnvironment() {
    assertThat(
            NativeLibraries.cacheFolder(
                Map.of("PANATRON_CACHE", "/own", "XDG_CACHE_HOME", "/xdg", "HOME", "/home/u")))
        .isEqualTo(Path.of("/own"));
    assertThat(NativeLibraries.cacheFolder(Map.of("XDG_CACHE_HOME", "/xdg", "HOME", "/home/u")))
        .isEqualTo(Path.of("/xdg/panatron"));
    assertThat(NativeLibraries.cacheFolder(Map.of("XDG_CACHE_HOME", "relative", "HOME", "/home/u")))
        .isEqualTo(Path.of("/home/u/.cache/panatron"));
    assertThat(NativeLibraries.cacheFolder(Map.of())).isNull();
  }

  @Test
  void onlyLibrariesOfTheCacheAreUsedWhateverTheSystemOffers() throws Exception {
    Path decoys = Files.createDirectory(temporary.resolve("decoys"));
    for (String name : List.of("libgomp.so.1", "libdnnl.so.3", "libOpenCL.so.1")) {
      Files.writeString(decoys.resolve(name), "not a library");
    }
    Path cache = temporary.resolve("cache");
    Map<String, String> environment = Map.of("LD_LIBRARY_PATH", decoys.toString());
    List<String> lines = finish(start(environment, probe(cache.toString())));
    assertThat(lines).contains("product 42.0");
    Path folder = NativeLibraries.oneDnnFolder(cache);
    assertThat(lines.stream().filter(l -> l.contains("libgomp") || l.contains("libdnnl")))
        .containsExactlyInAnyOrder(
            "mapped " + folder.resolve("libgomp.so.1"), "mapped " + folder.resolve("libdnnl.so.3"));
    assertThat(lines).noneMatch(l -> l.matches("mapped .*(OpenCL|blas|BLAS|jnidnnl).*"));
  }

  @Test
  void twoProcessesMayFillTheCacheAtOnce() throws Exception {
    Path cache = temporary.resolve("cache");
    List<Process> processes =
        List.of(start(Map.of(), probe(cache.toString())), start(Map.of(), probe(cache.toString())));
    for (Process process : processes) {
      assertThat(finish(process)).contains("product 42.0");
    }
    try (Stream<Path> files = Files.list(NativeLibraries.oneDnnFolder(cache))) {
      assertThat(files.map(p -> p.getFileName().toString()))
          .containsExactlyInAnyOrder("libgomp.so.1", "libdnnl.so.3");
    }
  }

  @Test
  void aCacheThatCannotBeWrittenIsReplacedByATemporaryFolderWithAWarning() throws Exception {
    Path file = Files.createFile(temporary.resolve("file"));
    Path cache = file.resolve("cache");
    List<String> lines = finish(start(Map.of(), probe(cache.toString())));
    assertThat(lines).contains("product 42.0");
    assertThat(lines)
        .anyMatch(l ->
            l.contains("WARNING") && l.contains(cache.toString()) && l.contains("PANATRON_CACHE"));
    assertNothingIsLeftInTheTemporaryFolder();
  }

  @Test
  void withoutAHomeATemporaryFolderServes() throws Exception {
    List<String> lines = finish(start(Map.of(), probe()));
    assertThat(lines).contains("product 42.0");
    assertThat(lines).anyMatch(l -> l.contains("WARNING") && l.contains("HOME is not set"));
    assertNothingIsLeftInTheTemporaryFolder();
  }

  @Test
  void aFullDiskIsAnErrorThatNamesFolderAndVariable() throws Exception {
    Path cache = temporary.resolve("cache");
    // No file may grow beyond 1000 blocks: libgomp fits, libdnnl does not, neither here nor in the
    // temporary folder.
    List<String> command =
        new ArrayList<>(List.of("sh", "-c", "ulimit -f 1000; exec \"$@\"", "sh"));
    command.addAll(probe(cache.toString()));
    List<String> lines = finish(start(Map.of(), command));
    assertThat(lines)
        .anyMatch(l ->
            l.startsWith("refused ")
                && l.contains(cache.toString())
                && l.contains("PANATRON_CACHE"));
    try (Stream<Path> files = Files.list(NativeLibraries.oneDnnFolder(cache))) {
      assertThat(files.map(p -> p.getFileName().toString())).containsExactly("libgomp.so.1");
    }
    assertNothingIsLeftInTheTemporaryFolder();
  }

  private List<String> probe(String... arguments) throws IOException {
    Path tmp = Files.createDirectories(temporary.resolve("tmp"));
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xshare:auto",
                "-XX:-UsePerfData",
                "-Djava.io.tmpdir=" + tmp,
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                LoadProbe.class.getName()));
    command.addAll(List.of(arguments));
    return command;
  }

  private Process start(Map<String, String> environment, List<String> command) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().keySet().retainAll(List.of("PATH", "LANG"));
    builder.environment().putAll(environment);
    return builder.start();
  }

  private static List<String> finish(Process process) throws Exception {
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    return output.lines().toList();
  }

  private void assertNothingIsLeftInTheTemporaryFolder() {
    assertThat(temporary.resolve("tmp")).isEmptyDirectory();
  }
}
