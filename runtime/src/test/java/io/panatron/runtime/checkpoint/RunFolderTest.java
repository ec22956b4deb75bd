package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunFolderTest {
  private static final LocalDateTime NOW = LocalDateTime.of(2026, 1, 2, 3, 4, 5);

  @TempDir Path folder;

  @Test
  void versionsCountUpAndCarryTheTime() throws Exception {
    Path save = folder.resolve("deep/save");
    assertThat(RunFolder.create(save, true, NOW)).isEqualTo(save.resolve("v0-20260102-030405"));
    assertThat(RunFolder.create(save, true, NOW)).isEqualTo(save.resolve("v1-20260102-030405"));
    Files.createDirectory(save.resolve("v17-20250101-000000"));
    assertThat(RunFolder.create(save, true, NOW)).isEqualTo(save.resolve("v18-20260102-030405"));
  }

  @Test
  void withoutVersionTheFolderItselfIsUsed() {
    Path save = folder.resolve("save");
    assertThat(RunFolder.create(save, false, NOW)).isEqualTo(save).isDirectory();
    assertThat(RunFolder.create(save, false, NOW)).isEqualTo(save);
  }

  @Test
  void aClaimThatADeadProcessLeftIsPassedOver() throws Exception {
    Files.createFile(folder.resolve(".v0.claim"));
    assertThat(RunFolder.create(folder, true, NOW).getFileName()).hasToString("v1-20260102-030405");
  }

  @Test
  void aFolderThatCannotBeMadeIsOneSentence() throws Exception {
    Path file = Files.createFile(folder.resolve("file"));
    assertThatThrownBy(() -> RunFolder.create(file.resolve("save"), true, NOW))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--save " + file.resolve("save") + " cannot be created");
  }

  @Test
  void runsThatStartTogetherGetDifferentNumbers() throws Exception {
    int runs = 8;
    CyclicBarrier start = new CyclicBarrier(runs);
    List<Callable<Path>> tasks = new ArrayList<>();
    for (int i = 0; i < runs; i++) {
      LocalDateTime time = NOW.plusSeconds(i % 3);
      tasks.add(() -> {
        start.await();
        return RunFolder.create(folder, true, time);
      });
    }
    List<String> numbers = new ArrayList<>();
    try (var executor = Executors.newFixedThreadPool(runs)) {
      for (var result : executor.invokeAll(tasks)) {
        String name = result.get().getFileName().toString();
        numbers.add(name.substring(0, name.indexOf('-')));
      }
    }
    assertThat(numbers).doesNotHaveDuplicates().hasSize(runs);
    try (var left = Files.list(folder)) {
      assertThat(left.map(p -> p.getFileName().toString())).noneMatch(n -> n.startsWith("."));
    }
  }
}
