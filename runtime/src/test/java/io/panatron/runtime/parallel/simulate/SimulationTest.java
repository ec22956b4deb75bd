package io.panatron.runtime.parallel.simulate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.panatron.runtime.parallel.pipeline.Action;
import io.panatron.runtime.parallel.pipeline.Phase;
import io.panatron.runtime.parallel.pipeline.Schedule;
import io.panatron.runtime.parallel.pipeline.ScheduleDomain;
import io.panatron.runtime.parallel.pipeline.Transfer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

@Domain(ScheduleDomain.class)
@Domain(DomainContext.Global.class)
class SimulationTest {
  /** Rounding of sums of up to thousands of durations. */
  private static final Offset<Double> ROUNDING = within(1e-9);

  @Property
  void schedulesRunUnderAnyTimingWithAnyBuffers(
      @ForAll Schedule schedule, @ForAll long seed, @ForAll @IntRange(max = 3) int buffers) {
    Timing timing = random(new Random(seed));
    SimulationResult result =
        Simulation.run(
            schedule, timing, buffers == 3 ? Integer.MAX_VALUE : buffers, PassListener.NONE);

    assertThat(result.passes())
        .isEqualTo(
            (long) schedule.pipeline() * schedule.passes() * (schedule.forwardOnly() ? 1 : 2));
    assertThat(result.bubble()).isBetween(0.0, 1.0);
    for (int rank = 0; rank < schedule.pipeline(); rank++) {
      assertThat(result.activations().get(rank)).isEqualTo(schedule.activationBound(rank));
    }
  }

  private static Timing random(Random random) {
    return new Timing() {
      @Override
      public double pass(int rank, Action.Pass pass) {
        return random.nextDouble() * (rank + 1);
      }

      @Override
      public double transfer(int sender, Transfer transfer) {
        return random.nextInt(4) == 0 ? 10 * random.nextDouble() : 0;
      }
    };
  }

  @Property
  void aRankComputesOneThingAtATimeAndNothingBeforeItsInput(
      @ForAll Schedule schedule, @ForAll long seed) {
    double[] free = new double[schedule.pipeline()];
    int stages = schedule.pipeline() * schedule.chunks();
    double[][] forward = new double[schedule.microBatches()][stages];
    double[][] backward = new double[schedule.microBatches()][stages];
    List<double[]> waits = new ArrayList<>();
    Simulation.run(
        schedule,
        random(new Random(seed)),
        0,
        (rank, pass, start, end) -> {
          assertThat(start).isGreaterThanOrEqualTo(free[rank]);
          free[rank] = end;
          int stage = pass.chunk() * schedule.pipeline() + rank;
          if (pass instanceof Action.Forward) {
            forward[pass.microBatch()][stage] = end;
            waits.add(new double[] {pass.microBatch(), stage - 1, 0, start});
          } else {
            backward[pass.microBatch()][stage] = end;
            waits.add(new double[] {pass.microBatch(), stage + 1, 1, start});
          }
        });
    for (double[] wait : waits) {
      int stage = (int) wait[1];
      if (stage >= 0 && stage < stages) {
        double[][] made = wait[2] == 0 ? forward : backward;
        assertThat(wait[3]).isGreaterThanOrEqualTo(made[(int) wait[0]][stage]);
      }
    }
  }

  @Property
  void theBubbleIsTheFormulas(
      @ForAll @IntRange(min = 1, max = 8) int pipeline,
      @ForAll @IntRange(min = 1, max = 4) int chunks,
      @ForAll @IntRange(min = 1, max = 6) int groups,
      @ForAll @IntRange(min = 0, max = 7) int more,
      @ForAll @DoubleRange(min = 0.1, max = 4) double backward) {
    int used = pipeline == 1 ? 1 : chunks;
    Schedule schedule =
        Schedule.training(pipeline, used, groups * pipeline + (used == 1 ? more : 0), null);
    SimulationResult result =
        Simulation.run(schedule, Timing.equal(1, backward, used), 0, PassListener.NONE);

    assertThat(result.bubble()).isCloseTo(schedule.idealBubble(), ROUNDING);
    assertThat(result.duration())
        .isCloseTo((1 + backward) * (schedule.microBatches() + (pipeline - 1.0) / used), ROUNDING);
  }

  @Test
  void eightStagesOfFourChunksWaitTheKnownShare() {
    Schedule schedule = Schedule.training(8, 4, 64, null);
    SimulationResult result = Simulation.run(schedule, Timing.equal(1, 2, 4), 0, PassListener.NONE);

    assertThat(result.bubble()).isCloseTo(7.0 / (4 * 64 + 7), ROUNDING);
    assertThat(result.activations()).isEqualTo(List.of(39, 37, 35, 33, 31, 29, 27, 25));
  }

  @Test
  void fourThousandRanksRun() {
    Schedule schedule = Schedule.training(4096, 1, 256, null);
    SimulationResult result = Simulation.run(schedule, Timing.equal(1, 2, 1), 0, PassListener.NONE);

    assertThat(result.passes()).isEqualTo(2L * 4096 * 256);
    assertThat(result.bubble()).isCloseTo(4095.0 / (256 + 4095), ROUNDING);
  }

  @Property(tries = 200)
  void anActionLeftOutIsNoticed(@ForAll Schedule schedule, @ForAll long seed) {
    Random random = new Random(seed);
    List<List<Action>> actions = actions(schedule);
    List<Action> rank = actions.get(random.nextInt(actions.size()));
    rank.remove(random.nextInt(rank.size()));

    assertThatThrownBy(() -> run(schedule, actions)).isInstanceOf(ScheduleViolation.class);
  }

  @Property(tries = 200)
  void anActionDoneTwiceIsNoticed(@ForAll Schedule schedule, @ForAll long seed) {
    Random random = new Random(seed);
    List<List<Action>> actions = actions(schedule);
    List<Action> rank = actions.get(random.nextInt(actions.size()));
    Action doubled = rank.get(random.nextInt(rank.size()));
    rank.add(random.nextInt(rank.size() + 1), doubled);

    assertThatThrownBy(() -> run(schedule, actions)).isInstanceOf(ScheduleViolation.class);
  }

  @Test
  void whatCannotRunIsNamed() {
    broken(a -> a.get(0).remove(0), "on rank 0, Transfer[kind=SEND_FORWARD");
    broken(a -> a.get(1).remove(0), "has not received its input");
    broken(a -> a.get(1).add(0, a.get(1).remove(2)), "comes before its forward pass");
    broken(a -> a.get(1).add(a.get(1).get(1)), "comes twice");
    broken(a -> a.get(0).remove(3), "rank 0 ends after 1 of 1 forward and 0 of 1 backward passes");
    broken(a -> a.get(1).remove(3), "ranks wait for ever: rank 0 in Exchange");
    broken(
        a -> a.get(0).set(1, transferred(a.get(0).get(1), 8, 1, 0)),
        "at tick 8 where rank 1 expects");
    broken(
        a -> a.get(0).set(2, transferred(a.get(0).get(2), 0, 1, 1)),
        "rank 0 exchanges at tick 0 after tick 0");
    broken(
        a -> a.get(0).set(1, transferred(a.get(0).get(1), 0, 5, 0)),
        "rank 0 does not meet rank 1 but rank 5");
    broken(a -> a.get(0).set(1, transferred(a.get(0).get(1), 0, 1, 7)), "where rank 1 expects");
    broken(
        a -> a.get(0).set(0, new Action.Forward(3, 0, Phase.WARMUP)),
        "rank 0 knows no micro-batch 3 of chunk 0");
  }

  /** Each waits for the other's message before it sends its own. */
  @Test
  void ranksThatWaitForEachOtherAreNoticed() {
    broken(
        a -> {
          Action send = a.get(0).remove(1);
          a.get(0).add(2, send);
          a.get(0).set(1, transferred(a.get(0).get(1), -1, 1, 1));
        },
        "ranks wait for ever: rank 0 in Exchange");
  }

  private static Action transferred(Action exchange, int tick, int peer, int tag) {
    Transfer old = ((Action.Exchange) exchange).transfers().getFirst();
    return new Action.Exchange(
        tick, List.of(new Transfer(old.kind(), old.microBatch(), old.chunk(), peer, tag)));
  }

  /** Two ranks and one micro-batch: F, send, receive, B and receive, F, B, send. */
  private static void broken(Consumer<List<List<Action>>> change, String message) {
    Schedule schedule = Schedule.training(2, 1, 1, null);
    List<List<Action>> actions = actions(schedule);
    assertThat(actions.get(0)).hasSize(4);
    change.accept(actions);
    assertThatThrownBy(() -> run(schedule, actions))
        .isInstanceOf(ScheduleViolation.class)
        .hasMessageContaining(message);
  }

  private static List<List<Action>> actions(Schedule schedule) {
    List<List<Action>> actions = new ArrayList<>();
    for (int rank = 0; rank < schedule.pipeline(); rank++) {
      List<Action> own = new ArrayList<>();
      schedule.rank(rank).forEach(own::add);
      actions.add(own);
    }
    return actions;
  }

  private static void run(Schedule schedule, List<List<Action>> actions) {
    Simulation.run(
        schedule, actions::get, Timing.equal(1, 2, schedule.chunks()), 0, PassListener.NONE);
  }
}
