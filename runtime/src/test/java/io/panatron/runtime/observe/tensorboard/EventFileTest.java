package io.panatron.runtime.observe.tensorboard;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Event files against one that TensorBoard 2.21 wrote: its Python classes {@code Event} and {@code
 * RecordWriter}, given the same events at the same time.
 */
class EventFileTest {
  private static final Instant TIME = Instant.ofEpochMilli(1_700_000_000_250L);
  private static final InstantSource CLOCK = InstantSource.fixed(TIME);
  private static final int NEVER_FULL = 1000;

  @TempDir Path folder;

  @Test
  void theBytesAreThoseOfTensorBoard() throws IOException {
    try (EventFile events = EventFile.create(folder, 300, NEVER_FULL, CLOCK)) {
      events.text(300, "command/text_summary", "trainer sft --lr 1e-4 µ");
      Map<String, Double> both = new LinkedHashMap<>();
      both.put("train/loss", 2.5);
      both.put("train/learning_rate", 1e-4);
      events.scalars(301, both);
      events.scalars(5_000_000_000L, Map.of("train/loss", Double.NaN));
    }

    assertThat(Files.readAllBytes(onlyFile())).isEqualTo(byTensorBoard());
  }

  @Test
  void theFileIsNamedSoThatTensorBoardFindsItAndReadsItAfterEarlierOnes() throws IOException {
    EventFile.create(folder, 0, NEVER_FULL, CLOCK).close();
    EventFile.create(folder, 0, NEVER_FULL, CLOCK).close();

    long process = ProcessHandle.current().pid();
    assertThat(files())
        .extracting(file -> file.getFileName().toString())
        .allSatisfy(name -> assertThat(name).startsWith("events.out.tfevents.1700000000."))
        .satisfiesExactly(
            name -> assertThat(name).endsWith("." + process + ".0"),
            name -> assertThat(name).endsWith("." + process + ".1"));
  }

  @Test
  void whatTensorBoardWroteIsRead() throws IOException {
    Files.write(folder.resolve("events.out.tfevents.1"), byTensorBoard());

    EventFolder events = EventFolder.read(folder);

    assertThat(events.scalars()).containsOnlyKeys("train/loss", "train/learning_rate");
    assertThat(events.scalars().get("train/learning_rate")).isEqualTo(Map.of(301L, 1e-4f));
    assertThat(events.scalars().get("train/loss"))
        .isEqualTo(Map.of(301L, 2.5f, 5_000_000_000L, Float.NaN));
  }

  @Test
  void aFileCutAtAnyByteIsReadUpToItsLastWholeRecord() throws IOException {
    byte[] whole = byTensorBoard();
    Path file = folder.resolve("events.out.tfevents.1");
    int most = 0;
    for (int length = 0; length <= whole.length; length++) {
      Files.write(file, Arrays.copyOf(whole, length));

      int values = values();

      assertThat(values).as("after %d bytes", length).isBetween(most, 3);
      most = values;
    }
    assertThat(most).isEqualTo(3);
  }

  @Test
  void aFlippedBitEndsTheReading() throws IOException {
    byte[] whole = byTensorBoard();
    Path file = folder.resolve("events.out.tfevents.1");
    for (int at = 0; at < whole.length; at++) {
      byte[] broken = whole.clone();
      broken[at] ^= 0x10;
      Files.write(file, broken);

      assertThat(values()).as("byte %d", at).isLessThan(3);
    }
  }

  @Test
  void aResumedRunReplacesTheStepsAfterItsStart() throws IOException {
    writeSteps(0, 1, 7, 1.0);
    writeSteps(4, 5, 6, 2.0);

    assertThat(EventFolder.read(folder).scalars().get("train/loss"))
        .isEqualTo(Map.of(1L, 1f, 2L, 1f, 3L, 1f, 4L, 1f, 5L, 2f, 6L, 2f));
  }

  @Test
  void aFreshRunInAUsedFolderReplacesAllSteps() throws IOException {
    writeSteps(0, 1, 7, 1.0);
    writeSteps(0, 1, 2, 2.0);

    assertThat(EventFolder.read(folder).scalars().get("train/loss"))
        .isEqualTo(Map.of(1L, 2f, 2L, 2f));
  }

  @Test
  void valuesWaitUntilTheQueueIsFull() throws IOException {
    try (EventFile events = EventFile.create(folder, 0, 3, CLOCK)) {
      events.scalars(1, Map.of("a", 1.0));
      events.scalars(2, Map.of("a", 1.0));
      assertThat(values()).isZero();

      events.scalars(3, Map.of("a", 1.0));
      assertThat(values()).isEqualTo(3);
    }
  }

  @Test
  void valuesOfSlowStepsDoNotWait() throws IOException {
    Instant[] now = {TIME};
    try (EventFile events = EventFile.create(folder, 0, NEVER_FULL, () -> now[0])) {
      events.scalars(1, Map.of("a", 1.0));
      assertThat(values()).isZero();

      now[0] = TIME.plusSeconds(6);
      events.scalars(2, Map.of("a", 1.0));
      assertThat(values()).isEqualTo(2);
    }
  }

  private void writeSteps(long done, int from, int to, double value) throws IOException {
    try (EventFile events = EventFile.create(folder, done, NEVER_FULL, CLOCK)) {
      for (int step = from; step <= to; step++) {
        events.scalars(step, Map.of("train/loss", value));
      }
    }
  }

  private int values() throws IOException {
    return EventFolder.read(folder).scalars().values().stream().mapToInt(Map::size).sum();
  }

  private Path onlyFile() throws IOException {
    assertThat(files()).hasSize(1);
    return files().getFirst();
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }

  private static byte[] byTensorBoard() throws IOException {
    try (InputStream file =
        EventFileTest.class.getResourceAsStream("/observe/tensorboard-2.21.tfevents")) {
      return file.readAllBytes();
    }
  }
}
