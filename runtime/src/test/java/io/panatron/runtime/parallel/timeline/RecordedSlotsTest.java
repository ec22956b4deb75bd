package io.panatron.runtime.parallel.timeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import io.panatron.runtime.UserError;
import io.panatron.runtime.observe.PipelineSlotEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import jdk.jfr.Recording;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RecordedSlotsTest {
  @TempDir private Path folder;

  @Test
  void theLastStepOfARecordingIsDrawn() throws IOException {
    Path first = record("0.jfr", 0, 1, 2);
    Path second = record("1.jfr", 5, 1, 2);
    Timeline timeline = RecordedSlots.read(List.of(first, second), null);

    assertThat(timeline.title()).isEqualTo("iteration 2 as recorded");
    assertThat(timeline.rows()).containsExactly("rank 0, stage 0", "rank 5, stage 1");
    assertThat(timeline.unit()).isEqualTo("ms");
    assertThat(timeline.slots()).hasSize(4);
    assertThat(timeline.slots())
        .extracting(Slot::row, Slot::backward, Slot::microBatch, Slot::chunk)
        .containsExactly(
            tuple(0, false, 7, 1),
            tuple(0, true, 7, 1),
            tuple(1, false, 7, 1),
            tuple(1, true, 7, 1));
    assertThat(timeline.slots().getFirst().start()).isZero();
    assertThat(timeline.bubble()).isBetween(0.0, 1.0);
    assertThat(RecordedSlots.read(List.of(first), 1L).title()).isEqualTo("iteration 1 as recorded");
  }

  @Test
  void recordingsThatShowNothingAreRefused() throws IOException {
    Path recorded = record("a.jfr", 0, 3, 4);
    assertThatThrownBy(() -> RecordedSlots.read(List.of(recorded), 5L))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(
            "holds iterations 3 to 4, but not --iteration 5; choose one of them.");

    Path empty = record("b.jfr", 0);
    assertThatThrownBy(() -> RecordedSlots.read(List.of(empty), null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("holds no panatron.PipelineSlot events; record a training run");

    Path text = Files.writeString(folder.resolve("c.jfr"), "not a recording");
    assertThatThrownBy(() -> RecordedSlots.read(List.of(text), null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("c.jfr cannot be read");
    assertThatThrownBy(() -> RecordedSlots.read(List.of(folder.resolve("none.jfr")), null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("none.jfr cannot be read");
  }

  private Path record(String name, int rank, long... iterations) throws IOException {
    Path file = folder.resolve(name);
    try (Recording recording = new Recording()) {
      recording.enable(PipelineSlotEvent.class);
      recording.start();
      for (long iteration : iterations) {
        emit(iteration, rank, PipelineSlotEvent.FORWARD);
        emit(iteration, rank, PipelineSlotEvent.BACKWARD);
      }
      recording.stop();
      recording.dump(file);
    }
    return file;
  }

  private static void emit(long iteration, int rank, String kind) {
    PipelineSlotEvent event = new PipelineSlotEvent();
    event.begin();
    event.iteration = iteration;
    event.rank = rank;
    event.pipelineRank = rank == 0 ? 0 : 1;
    event.chunk = 1;
    event.microBatch = 7;
    event.kind = kind;
    event.commit();
  }
}
