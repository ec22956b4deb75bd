package io.panatron.runtime.parallel.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.domains.Domain;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

@Domain(ScheduleDomain.class)
class ScheduleTest {
  @Property
  void passesComeInMegatronsOrder(@ForAll Schedule schedule) {
    List<int[]> table = table(schedule);
    for (int rank = 0; rank < schedule.pipeline(); rank++) {
      int warmup =
          schedule.chunks() == 1
              ? schedule.pipeline() - rank - 1
              : (schedule.pipeline() - rank - 1) * 2 + (schedule.chunks() - 1) * schedule.group();
      warmup = schedule.forwardOnly() ? table.size() : Math.min(warmup, table.size());
      List<String> expected = new ArrayList<>();
      for (int i = 0; i < warmup; i++) {
        expected.add("F%d.%d WARMUP".formatted(table.get(i)[0], table.get(i)[1]));
      }
      int backward = 0;
      for (int i = warmup; i < table.size(); i++) {
        expected.add("F%d.%d STEADY".formatted(table.get(i)[0], table.get(i)[1]));
        expected.add(backward(schedule, table.get(backward++), Phase.STEADY));
      }
      while (!schedule.forwardOnly() && backward < table.size()) {
        expected.add(backward(schedule, table.get(backward++), Phase.COOLDOWN));
      }
      assertThat(passes(schedule.rank(rank))).as("rank %d", rank).isEqualTo(expected);
    }
  }

  private static String backward(Schedule schedule, int[] entry, Phase phase) {
    return "B%d.%d %s".formatted(entry[0], schedule.chunks() - 1 - entry[1], phase);
  }

  /** Micro-batch and chunk of each pass: for each group, for each chunk, for each micro-batch. */
  private static List<int[]> table(Schedule schedule) {
    List<int[]> table = new ArrayList<>();
    for (int start = 0; start < schedule.microBatches(); start += schedule.group()) {
      for (int chunk = 0; chunk < schedule.chunks(); chunk++) {
        int end = Math.min(start + schedule.group(), schedule.microBatches());
        for (int microBatch = start; microBatch < end; microBatch++) {
          table.add(new int[] {microBatch, chunk});
        }
      }
    }
    return table;
  }

  @Test
  void fiveMicroBatchesInGroupsOfThreeThroughTwoChunks() {
    PassOrder order = Schedule.training(2, 2, 5, 3).order();

    assertThat(IntStream.range(0, 10).map(order::microBatch))
        .containsExactly(0, 1, 2, 0, 1, 2, 3, 4, 3, 4);
    assertThat(IntStream.range(0, 10).map(order::chunk))
        .containsExactly(0, 0, 0, 1, 1, 1, 0, 0, 1, 1);
  }

  @Test
  void theFirstOfTwoRanksSendsAndReceivesAsMegatronDoes() {
    assertThat(actions(Schedule.training(2, 1, 3, null).rank(0)))
        .containsExactly(
            "F0.0",
            "[SEND_FORWARD 0.0]",
            "F1.0",
            "[SEND_FORWARD 1.0, RECEIVE_BACKWARD 0.0]",
            "B0.0",
            "F2.0",
            "[SEND_FORWARD 2.0, RECEIVE_BACKWARD 1.0]",
            "B1.0",
            "[RECEIVE_BACKWARD 2.0]",
            "B2.0");
    assertThat(actions(Schedule.training(2, 1, 3, null).rank(1)))
        .containsExactly(
            "[RECEIVE_FORWARD 0.0]",
            "F0.0",
            "B0.0",
            "[SEND_BACKWARD 0.0, RECEIVE_FORWARD 1.0]",
            "F1.0",
            "B1.0",
            "[SEND_BACKWARD 1.0, RECEIVE_FORWARD 2.0]",
            "F2.0",
            "B2.0",
            "[SEND_BACKWARD 2.0]");
  }

  @Test
  void interleavedRanksHandChunksAroundTheRing() {
    assertThat(actions(Schedule.training(2, 2, 2, null).rank(1)))
        .containsExactly(
            "[RECEIVE_FORWARD 0.0]",
            "F0.0",
            "[SEND_FORWARD 0.0, RECEIVE_FORWARD 1.0]",
            "F1.0",
            "[SEND_FORWARD 1.0, RECEIVE_FORWARD 0.1]",
            "F0.1",
            "B0.1",
            "[SEND_BACKWARD 0.1, RECEIVE_FORWARD 1.1]",
            "F1.1",
            "B1.1",
            "[SEND_BACKWARD 1.1, RECEIVE_BACKWARD 0.0]",
            "B0.0",
            "[SEND_BACKWARD 0.0, RECEIVE_BACKWARD 1.0]",
            "B1.0",
            "[SEND_BACKWARD 1.0]");
  }

  @Test
  void oneStageNeedsNobody() {
    assertThat(actions(Schedule.training(1, 1, 2, null).rank(0)))
        .containsExactly("F0.0", "B0.0", "F1.0", "B1.0");
    assertThat(actions(Schedule.evaluation(1, 1, 2, null).rank(0))).containsExactly("F0.0", "F1.0");
  }

  @Test
  void schedulesHaveTheNamesOfTheField() {
    assertThat(Schedule.training(1, 1, 2, null).name()).isEqualTo("no pipelining");
    assertThat(Schedule.training(2, 1, 2, null).name()).isEqualTo("1F1B");
    assertThat(Schedule.training(2, 2, 2, null).name()).isEqualTo("interleaved 1F1B");
    assertThat(Schedule.evaluation(2, 2, 2, null).name()).isEqualTo("forward only");
  }

  @Test
  void groupsThatLeaveARankIdleAreRefused() {
    String name = "--microbatch_group_size_per_virtual_pipeline_stage";
    refused(
        () -> Schedule.training(4, 2, 8, 3),
        name
            + " is 3; it must be at least --pipeline_model_parallel_size 4 and at most the 8"
            + " micro-batches of a step.");
    refused(() -> Schedule.training(4, 2, 8, 9), name + " is 9; it must be at least");
    refused(
        () -> Schedule.training(4, 2, 7, 5),
        "7 micro-batches in groups of 5 leave a last group of 2, fewer than the 4 pipeline ranks;"
            + " change --global_batch_size or "
            + name
            + ".");
    refused(
        () -> Schedule.training(4, 1, 8, 5),
        name + " is 5, but without virtual stages there are no groups; leave it out.");
    refused(
        () -> Schedule.training(1, 2, 8, null),
        "2 virtual stages need a --pipeline_model_parallel_size above 1;");
    refused(() -> Schedule.training(1, 1, 0, null), "must be at least 1.");
    refused(() -> Schedule.training(8, 64, 1 << 26, null), "more than a step can have");
  }

  private static List<String> passes(RankSchedule rank) {
    List<String> passes = new ArrayList<>();
    for (Action action : rank) {
      if (action instanceof Action.Pass pass) {
        passes.add(text(pass) + " " + pass.phase());
      }
    }
    return passes;
  }

  private static List<String> actions(RankSchedule rank) {
    return StreamSupport.stream(rank.spliterator(), false).map(ScheduleTest::text).toList();
  }

  private static String text(Action action) {
    return switch (action) {
      case Action.Forward f -> "F%d.%d".formatted(f.microBatch(), f.chunk());
      case Action.Backward b -> "B%d.%d".formatted(b.microBatch(), b.chunk());
      case Action.Exchange e ->
          e.transfers().stream()
              .map(t -> "%s %d.%d".formatted(t.kind(), t.microBatch(), t.chunk()))
              .toList()
              .toString();
    };
  }

  private static void refused(ThrowingCallable call, String part) {
    assertThatThrownBy(call).isInstanceOf(UserError.class).hasMessageContaining(part);
  }
}
