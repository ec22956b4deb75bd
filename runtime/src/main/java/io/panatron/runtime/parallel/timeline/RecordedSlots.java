package io.panatron.runtime.parallel.timeline;

import io.panatron.runtime.UserError;
import io.panatron.runtime.observe.PipelineSlotEvent;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.jspecify.annotations.Nullable;

/** The slots that a training run recorded with Java Flight Recorder. */
public final class RecordedSlots {
  private static final double NANOS_PER_MILLI = 1e6;

  private record Recorded(
      int rank,
      int pipelineRank,
      boolean backward,
      int microBatch,
      int chunk,
      Instant start,
      Instant end) {}

  private RecordedSlots() {}

  /**
   * One step of a run.
   *
   * @param files recordings of all processes of the run
   * @param iteration the step; null means the last one
   * @throws UserError if a file cannot be read or holds no such step
   */
  public static Timeline read(List<Path> files, @Nullable Long iteration) {
    SortedMap<Long, List<Recorded>> steps = new TreeMap<>();
    for (Path file : files) {
      read(file, steps);
    }
    if (steps.isEmpty()) {
      throw new UserError(
          "--recording %s holds no %s events; record a training run with --pipeline_model_parallel_size above 1."
              .formatted(names(files), PipelineSlotEvent.NAME));
    }
    long chosen = iteration == null ? steps.lastKey() : iteration;
    List<Recorded> step = steps.get(chosen);
    if (step == null) {
      throw new UserError(
          "--recording %s holds iterations %d to %d, but not --iteration %d; choose one of them."
              .formatted(names(files), steps.firstKey(), steps.lastKey(), chosen));
    }
    return timeline(chosen, step);
  }

  private static void read(Path file, SortedMap<Long, List<Recorded>> steps) {
    try (RecordingFile recording = new RecordingFile(file)) {
      while (recording.hasMoreEvents()) {
        RecordedEvent event = recording.readEvent();
        if (event.getEventType().getName().equals(PipelineSlotEvent.NAME)) {
          steps
              .computeIfAbsent(event.getLong("iteration"), i -> new ArrayList<>())
              .add(
                  new Recorded(
                      event.getInt("rank"),
                      event.getInt("pipelineRank"),
                      PipelineSlotEvent.BACKWARD.equals(event.getString("kind")),
                      event.getInt("microBatch"),
                      event.getInt("chunk"),
                      event.getStartTime(),
                      event.getEndTime()));
        }
      }
    } catch (IOException e) {
      throw new UserError(
          "--recording %s cannot be read (%s); give a file that Java Flight Recorder wrote to its end."
              .formatted(
                  file, e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage()),
          e);
    }
  }

  private static Timeline timeline(long iteration, List<Recorded> step) {
    SortedMap<Integer, Integer> stages = new TreeMap<>();
    Instant begin = step.getFirst().start();
    for (Recorded slot : step) {
      stages.put(slot.rank(), slot.pipelineRank());
      begin = slot.start().isBefore(begin) ? slot.start() : begin;
    }
    List<Integer> ranks = List.copyOf(stages.keySet());
    List<Slot> slots = new ArrayList<>();
    for (Recorded slot : step) {
      slots.add(
          new Slot(
              ranks.indexOf(slot.rank()),
              slot.backward(),
              slot.microBatch(),
              slot.chunk(),
              Duration.between(begin, slot.start()).toNanos() / NANOS_PER_MILLI,
              Duration.between(begin, slot.end()).toNanos() / NANOS_PER_MILLI));
    }
    List<String> rows =
        ranks.stream().map(r -> "rank %d, stage %d".formatted(r, stages.get(r))).toList();
    return new Timeline("iteration %d as recorded".formatted(iteration), rows, "ms", slots);
  }

  private static String names(List<Path> files) {
    return String.join(" ", files.stream().map(Path::toString).toList());
  }
}
