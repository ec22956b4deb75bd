package io.panatron.runtime.observe;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunLogTest {
  @TempDir Path folder;

  @Test
  void whatAKilledRunLeftOfARowDoesNotSpoilTheNext() throws IOException {
    Path file = folder.resolve("logging.jsonl");
    Files.writeString(file, "{\"loss\":1.0}\n{\"lo");

    try (RunLog log = new RunLog(file)) {
      log.write(Map.of("loss", 2.0));
    }
    try (RunLog log = new RunLog(file)) {
      log.write(Map.of("loss", 3.0));
    }

    assertThat(file).hasContent("{\"loss\":1.0}\n{\"lo\n{\"loss\":2.0}\n{\"loss\":3.0}\n");
  }
}
