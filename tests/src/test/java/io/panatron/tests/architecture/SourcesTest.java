package io.panatron.tests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SourcesTest {
  /** A file that a reader still takes in as a whole. */
  private static final int MOST_LINES = 500;

  /** From Main to a kernel. */
  private static final int MOST_FILES = 9;

  private static final Pattern SOURCE = Pattern.compile("[\\w./-]+/src/main/java/[\\w./-]+\\.java");

  /** Maven runs the tests in their module's folder. */
  private static final Path ROOT = Path.of("").toAbsolutePath().getParent();

  @Test
  void noSourceFileIsTooLong() throws IOException {
    assertThat(sources(ROOT)).hasSizeGreaterThan(5);
    assertThat(tooLong(ROOT)).isEmpty();
  }

  @Test
  void tooLongASourceFileIsFound(@TempDir Path folder) throws IOException {
    Path source = folder.resolve("src/main/java");
    Files.createDirectories(source);
    Files.write(source.resolve("Short.java"), Collections.nCopies(MOST_LINES, "//"));
    Files.write(source.resolve("Long.java"), Collections.nCopies(MOST_LINES + 1, "//"));

    assertThat(tooLong(folder)).containsExactly("src/main/java/Long.java: 501 lines");
  }

  @Test
  void theTraceLeadsFromMainInFewFilesThatExist() throws IOException {
    String trace = Files.readString(ROOT.resolve("docs/trace.md"));

    assertThat(faults(trace, ROOT)).isEmpty();
  }

  @Test
  void aWrongTraceIsFound(@TempDir Path folder) throws IOException {
    String main = "cli/src/main/java/io/panatron/cli/Main.java";
    Files.createDirectories(folder.resolve(main).getParent());
    Files.createFile(folder.resolve(main));
    StringBuilder tenFiles = new StringBuilder(main);
    for (int i = 1; i <= MOST_FILES; i++) {
      tenFiles.append("\n`a/src/main/java/F").append(i).append(".java`");
    }

    assertThat(faults("1. `" + main + "` parses", folder)).isEmpty();
    assertThat(faults("", folder)).containsExactly("it does not begin with " + main);
    assertThat(faults(main + " a/src/main/java/Gone.java", folder))
        .containsExactly("a/src/main/java/Gone.java does not exist");
    assertThat(faults(tenFiles.toString(), folder)).contains("it names 10 files");
  }

  private static List<String> faults(String trace, Path root) {
    Set<String> files = new LinkedHashSet<>();
    Matcher matcher = SOURCE.matcher(trace);
    while (matcher.find()) {
      files.add(matcher.group());
    }
    List<String> faults = new ArrayList<>();
    String main = "cli/src/main/java/io/panatron/cli/Main.java";
    if (files.isEmpty() || !files.iterator().next().equals(main)) {
      faults.add("it does not begin with " + main);
    }
    if (files.size() > MOST_FILES) {
      faults.add("it names " + files.size() + " files");
    }
    for (String file : files) {
      if (!Files.isRegularFile(root.resolve(file))) {
        faults.add(file + " does not exist");
      }
    }
    return faults;
  }

  private static List<String> tooLong(Path root) throws IOException {
    List<String> found = new ArrayList<>();
    for (Path source : sources(root)) {
      int lines = Files.readAllLines(source).size();
      if (lines > MOST_LINES) {
        found.add(root.relativize(source) + ": " + lines + " lines");
      }
    }
    return found;
  }

  /** All Java files below src folders, without what jextract wrote. */
  private static List<Path> sources(Path root) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      return files
          .filter(f -> f.toString().endsWith(".java"))
          .filter(f -> f.toString().contains("/src/"))
          .filter(f -> !f.toString().contains("/bindings/onednn/generated/"))
          .sorted()
          .toList();
    }
  }
}
