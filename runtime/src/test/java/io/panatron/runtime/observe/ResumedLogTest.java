package io.panatron.runtime.observe;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResumedLogTest {
  @TempDir Path folder;

  private static String row(int iteration) {
    return "{\"loss\":0.5,\"iteration\":\"" + iteration + "/20\"}\n";
  }

  private Path log(String... lines) throws IOException {
    return Files.writeString(folder.resolve("logging.jsonl"), String.join("", lines));
  }

  @Test
  void rowsAfterTheCheckpointAndATornRowAreRemoved() throws IOException {
    String foreign = "{\"note\":\"mine\"}\n";
    Path log = log(row(1), row(8), foreign, "no JSON\n", row(9), row(10), "{\"loss\":0.4,\"iter");
    ResumedLog.cut(log, 8);
    assertThat(log).hasContent(row(1) + row(8) + foreign + "no JSON\n");
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactly(log);
    }
  }

  @Test
  void aLogThatEndsAtTheCheckpointIsNotTouched() throws IOException {
    Path log = log(row(1), row(8));
    FileTime before = FileTime.fromMillis(1_000_000);
    Files.setLastModifiedTime(log, before);
    ResumedLog.cut(log, 8);
    ResumedLog.cut(folder.resolve("none.jsonl"), 8);
    assertThat(Files.getLastModifiedTime(log)).isEqualTo(before);
    assertThat(folder.resolve("none.jsonl")).doesNotExist();
  }
}
