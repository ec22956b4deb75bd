package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A folder that is exported is there as a whole, or as it was. */
class FolderExportTest {
  private static final int MORE_THAN_ALL_STEPS = 300;

  @TempDir Path folder;
  private ModelFolderFiles files;
  private Path source;

  @BeforeEach
  void makeModel() throws IOException {
    source = folder.resolve("model");
    files = SmallCheckpoint.modelFiles(source);
  }

  private HfModelFolder model(float mark) {
    return new HfModelFolder(
        files,
        SafetensorsDtype.F32,
        List.of(
            SmallCheckpoint.floats("a.weight", mark, 1, 2),
            SmallCheckpoint.floats("b.weight", mark)),
        16);
  }

  private static void export(FolderExport export, Path source, HfModelFolder model) {
    export.prepare(source);
    export.write(model, written -> {});
  }

  /** The mark of the folder, all of whose files are of one export. */
  private static float mark(Path target) throws IOException {
    try (var arena = java.lang.foreign.Arena.ofConfined()) {
      ModelWeights weights = ModelWeights.open(target, arena);
      List<Float> marks = new ArrayList<>();
      for (SafetensorsTensor tensor : weights.tensors().values()) {
        marks.add(tensor.data().get(java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED, 0));
      }
      assertThat(marks).hasSize(2);
      assertThat(marks.get(0)).isEqualTo(marks.get(1));
      assertThat(target.resolve("config.json")).exists();
      return marks.getFirst();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aCrashBeforeAnyStepLeavesTheOldFolderOrTheNew(boolean powerLoss) throws IOException {
    TreeSet<Float> found = new TreeSet<>();
    for (int step = 0; step < MORE_THAN_ALL_STEPS; step++) {
      Path target = Files.createDirectory(folder.resolve("run" + step)).resolve("out");
      export(new FolderExport(target, false), source, model(1));
      FaultyFiles disk = new FaultyFiles();
      disk.crashAfter(step);
      try {
        export(new FolderExport(target, true, disk), source, model(2));
      } catch (FaultyFiles.Crash e) {
        assertThat(disk.hasCrashed()).isTrue();
      }
      if (disk.hasCrashed() && powerLoss) {
        disk.losePower();
      }
      // The next export looks first, and gives a folder that waits aside its name back.
      new FolderExport(target, true).prepare(source);
      found.add(mark(target));
      try (var all = Files.list(target.getParent())) {
        assertThat(all).containsExactly(target);
      }
      if (!disk.hasCrashed()) {
        assertThat(found).containsExactly(1f, 2f);
        assertThat(step).isGreaterThan(15);
        return;
      }
    }
    fail("the export never ended");
  }

  @Test
  void whatACheckRefusesLeavesNothing() throws IOException {
    Path target = folder.resolve("out");
    assertThatThrownBy(() ->
            new FolderExport(target, false)
                .write(
                    model(1),
                    written -> {
                      assertThat(written.resolve("config.json")).exists();
                      throw new UserError("no good");
                    }))
        .hasMessage("no good");
    assertThat(SmallCheckpoint.hidden(folder)).isEmpty();
    assertThat(target).doesNotExist();
  }

  @Test
  void aFullDiskIsOneSentenceAndLeavesTheOldFolder() throws IOException {
    Path target = folder.resolve("out");
    export(new FolderExport(target, false), source, model(1));
    FaultyFiles disk = new FaultyFiles();
    disk.limitBytes(100);

    assertThatThrownBy(() -> export(new FolderExport(target, true, disk), source, model(2)))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll("out", "needs", "untouched");
    assertThat(mark(target)).isEqualTo(1);
    assertThat(SmallCheckpoint.hidden(folder)).isEmpty();
  }

  @Test
  void nothingButAnExportIsReplaced() throws IOException {
    Path target = folder.resolve("out");
    export(new FolderExport(target, false), source, model(1));
    refused(new FolderExport(target, false), "exists already", "--exist_ok true");
    Files.writeString(target.resolve("thesis.docx"), "years of work");
    refused(new FolderExport(target, true), "does not write (thesis.docx)");
    refused(new FolderExport(source, true), "the same");
    refused(new FolderExport(folder, true), "one lies in the other");
    Path file = Files.writeString(folder.resolve("file"), "");
    refused(new FolderExport(file, true), "is no folder");
    Path link = Files.createSymbolicLink(folder.resolve("link"), target);
    refused(new FolderExport(link, true), "is no folder");
    assertThat(target.resolve("thesis.docx")).hasContent("years of work");
  }

  private void refused(FolderExport export, String... phrases) {
    assertThatThrownBy(() -> export.prepare(source))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll(phrases);
  }
}
