package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --async_save}: the write goes on beside the steps, and what it writes is the same. */
class AsyncSaveTest {
  @Test
  void theWriteOverlapsTheStepsAndChangesNothing(@TempDir(factory = BuildFolder.class) Path folder)
      throws IOException {
    Path model = Fixture.largerModel(folder.resolve("model"));
    TrainingCall call =
        TrainingCall.into(folder.resolve("waiting"))
            .with("model", model)
            .with("torch_dtype", "bfloat16")
            .with("save_interval", 2);
    assertThat(call.run().status()).isZero();

    TrainingCall beside =
        call.with("save", folder.resolve("beside"))
            .with("async_save", true)
            .with("use_persistent_ckpt_worker", true);
    List<RecordedEvent> events = recorded(beside, folder.resolve("run.jfr"));

    assertThat(RunFiles.log(beside.save())).hasSize(8).isEqualTo(RunFiles.log(call.save()));
    for (int iteration = 2; iteration <= 8; iteration += 2) {
      RunFiles.assertSameState(checkpoint(beside, iteration), checkpoint(call, iteration));
    }
    List<RecordedEvent> steps = named(events, "panatron.Step");
    List<RecordedEvent> writes = named(events, "panatron.Checkpoint");
    List<RecordedEvent> copies = named(events, "panatron.CheckpointCopy");
    assertThat(steps).hasSize(8);
    assertThat(writes)
        .hasSize(4)
        .allMatch(event -> event.getThread().getJavaName().equals("checkpoint-writer"))
        .allMatch(event -> event.getLong("bytes") > 10_000_000);
    assertThat(writes.stream().map(event -> event.getThread().getJavaThreadId()).distinct())
        .as("a persistent worker is one thread")
        .hasSize(1);
    assertThat(copies)
        .hasSize(4)
        .allMatch(event -> event.getThread().getJavaName().equals("checkpoint-copier"));
    // The last one is written when no step is left.
    Duration overlap = overlap(writes.subList(0, 3), steps);
    assertThat(overlap).isPositive();
    assertThat(named(events, "panatron.CheckpointStall"))
        .extracting(event -> event.getString("reason"))
        .contains("save", "end");
    System.out.printf(
        Locale.ROOT,
        "Writes of %d ms overlap steps by %d ms%n",
        writes.subList(0, 3).stream().mapToLong(event -> event.getDuration().toMillis()).sum(),
        overlap.toMillis());
  }

  @Test
  void eachSaveHasThreadsOfItsOwnUnlessTheyAreToStay(@TempDir Path folder) throws IOException {
    TrainingCall call =
        TrainingCall.into(folder.resolve("run"))
            .with("save_interval", 4)
            .with("async_save", true)
            .with("no_save_optim", true)
            .with("check_memory", true);

    List<RecordedEvent> events = recorded(call, folder.resolve("run.jfr"));

    assertThat(
            named(events, "panatron.Checkpoint").stream()
                .map(event -> event.getThread().getJavaThreadId())
                .distinct())
        .hasSize(2);
    assertThat(checkpoint(call, 8).resolve("state/optimizer.safetensors")).doesNotExist();
  }

  /** Something stands where the second checkpoint is to be written. */
  @Test
  void aWriteThatFailsEndsTheRunWithOneSentence(@TempDir Path folder) throws IOException {
    TrainingCall call =
        TrainingCall.into(folder.resolve("run"))
            .with("train_iters", 2000)
            .with("save_interval", 2)
            .with("async_save", true);
    Files.createDirectories(call.save());
    Files.writeString(call.save().resolve(".checkpoint-4.tmp"), "in the way");

    InProcess.Result result = call.run();

    assertThat(result.status()).as(result.err()).isEqualTo(2);
    assertThat(result.err().lines()).hasSize(1);
    assertThat(result.err())
        .contains("checkpoint-4", "cannot be written", "earlier checkpoints are untouched");
    assertThat(checkpoint(call, 2)).isDirectory();
    assertThat(RunFiles.log(call.save()))
        .as("the run ends long before its end")
        .hasSizeLessThan(50);
    TrainingCall rest =
        call.with("load", call.save())
            .with("save", folder.resolve("rest"))
            .with("train_iters", 4)
            .with("save_interval", 4);
    assertThat(rest.run().out()).contains("at iteration 2, 8 samples consumed");
  }

  @Test
  void theLastWriteThatFailsIsToldAtTheEnd(@TempDir Path folder) throws IOException {
    TrainingCall call = TrainingCall.into(folder.resolve("run")).with("async_save", true);
    Files.createDirectories(call.save());
    Files.writeString(call.save().resolve(".checkpoint-8.tmp"), "in the way");

    InProcess.Result result = call.run();

    assertThat(result.status()).as(result.err()).isEqualTo(2);
    assertThat(result.err().lines()).hasSize(1);
    assertThat(result.err()).contains("checkpoint-8", "cannot be written");
    assertThat(result.out()).doesNotContain("Trained 8 iterations");
  }

  private static Path checkpoint(TrainingCall call, int iteration) {
    return call.save().resolve("checkpoint-" + iteration);
  }

  private static List<RecordedEvent> recorded(TrainingCall call, Path file) throws IOException {
    try (Recording recording = new Recording()) {
      recording.start();
      InProcess.Result result = call.run();
      assertThat(result.status()).as(result.err()).isZero();
      recording.dump(file);
    }
    return RecordingFile.readAllEvents(file);
  }

  private static List<RecordedEvent> named(List<RecordedEvent> events, String name) {
    return events.stream()
        .filter(event -> event.getEventType().getName().equals(name))
        .sorted((a, b) -> a.getStartTime().compareTo(b.getStartTime()))
        .toList();
  }

  /** How long some write and some step of another thread ran at the same time. */
  private static Duration overlap(List<RecordedEvent> writes, List<RecordedEvent> steps) {
    Duration sum = Duration.ZERO;
    for (RecordedEvent write : writes) {
      for (RecordedEvent step : steps) {
        assertThat(step.getThread().getJavaThreadId())
            .isNotEqualTo(write.getThread().getJavaThreadId());
        Instant begin = later(write.getStartTime(), step.getStartTime());
        Instant end =
            later(write.getEndTime(), step.getEndTime()).equals(write.getEndTime())
                ? step.getEndTime()
                : write.getEndTime();
        sum = sum.plus(begin.isBefore(end) ? Duration.between(begin, end) : Duration.ZERO);
      }
    }
    return sum;
  }

  private static Instant later(Instant a, Instant b) {
    return a.isAfter(b) ? a : b;
  }
}
