package io.panatron.runtime.parallel.timeline;

import io.panatron.runtime.parallel.pipeline.Action;
import io.panatron.runtime.parallel.pipeline.Schedule;
import io.panatron.runtime.parallel.simulate.Simulation;
import io.panatron.runtime.parallel.simulate.Timing;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * What the ranks of a pipeline did, or will do, during one step.
 *
 * @param title what is shown
 * @param rows names of the ranks, from top to bottom
 * @param unit of time, such as {@code ms}; empty where only proportions count
 * @param slots by row, and in each by start
 */
public record Timeline(String title, List<String> rows, String unit, List<Slot> slots) {
  public Timeline {
    rows = List.copyOf(rows);
    slots =
        slots.stream()
            .sorted(Comparator.comparingInt(Slot::row).thenComparingDouble(Slot::start))
            .toList();
    if (!slots.isEmpty() && slots.getLast().row() >= rows.size()) {
      throw new IllegalArgumentException(slots.getLast() + " is in none of " + rows.size());
    }
  }

  /**
   * A schedule as planned, with transfers that take no time.
   *
   * @param forward time of the forward passes of a micro-batch through all chunks of a rank
   * @param backward the same backward
   */
  public static Timeline planned(Schedule schedule, double forward, double backward) {
    List<Slot> slots = new ArrayList<>();
    Simulation.run(
        schedule,
        Timing.equal(forward, backward, schedule.chunks()),
        0,
        (rank, pass, start, end) ->
            slots.add(
                new Slot(
                    rank,
                    pass instanceof Action.Backward,
                    pass.microBatch(),
                    pass.chunk(),
                    start,
                    end)));
    String chunks = schedule.chunks() == 1 ? "" : " x %d chunks".formatted(schedule.chunks());
    String title =
        "%s, %d stages%s, %d micro-batches"
            .formatted(schedule.name(), schedule.pipeline(), chunks, schedule.microBatches());
    List<String> rows =
        IntStream.range(0, schedule.pipeline()).mapToObj(rank -> "stage " + rank).toList();
    return new Timeline(title, rows, "", slots);
  }

  /** From the beginning to the end of the last slot. */
  public double duration() {
    return slots.stream().mapToDouble(Slot::end).max().orElse(0);
  }

  /** Share of all ranks' time in which they do not compute, from 0 to 1. */
  public double bubble() {
    double whole = duration() * rows.size();
    return whole == 0 ? 0 : 1 - slots.stream().mapToDouble(Slot::duration).sum() / whole;
  }

  /** How many model chunks there are. */
  public int chunks() {
    return slots.stream().mapToInt(Slot::chunk).max().orElse(0) + 1;
  }

  /** The share of waiting in words. */
  public String bubbleText() {
    return String.format(Locale.ROOT, "bubble %.1f %%", 100 * bubble());
  }
}
