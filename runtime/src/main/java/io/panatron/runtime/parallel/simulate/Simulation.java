package io.panatron.runtime.parallel.simulate;

import io.panatron.runtime.parallel.pipeline.Action;
import io.panatron.runtime.parallel.pipeline.Schedule;
import io.panatron.runtime.parallel.pipeline.Transfer;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.function.IntFunction;
import java.util.stream.Collectors;

/**
 * Runs all ranks of a pipeline against each other and checks what they do.
 *
 * <p>Checked are: every micro-batch goes through every chunk once forward and, after that, once
 * backward; no pass begins before its input was received; what is sent was computed; both ends of a
 * transfer agree on what it is, and on the tick of their exchanges, which grow along each rank; no
 * rank keeps activations of more micro-batches than its bound; nothing is left over or waits for
 * ever.
 *
 * <p>No rank chooses by time which message it takes, so whether ranks wait for ever does not depend
 * on how long anything takes: one run without buffers proves it for all timings and any buffers.
 */
public final class Simulation {
  /** Ranks named in the message of a deadlock. */
  private static final int SHOWN = 8;

  private final Timing timing;
  private final RankState[] ranks;
  private final Link[] forward;
  private final Link[] backward;
  private final PassListener listener;
  private final ArrayDeque<RankState> ready = new ArrayDeque<>();

  private Simulation(
      Schedule schedule,
      IntFunction<? extends Iterable<Action>> actions,
      Timing timing,
      int buffers,
      PassListener listener) {
    this.timing = timing;
    this.listener = listener;
    int n = schedule.pipeline();
    this.ranks = new RankState[n];
    this.forward = new Link[n];
    this.backward = new Link[n];
    for (int rank = 0; rank < n; rank++) {
      ranks[rank] = new RankState(schedule, rank, actions.apply(rank).iterator(), ready);
      forward[rank] = new Link(buffers);
      backward[rank] = new Link(buffers);
    }
  }

  /**
   * Runs a schedule.
   *
   * @param buffers messages that each link between two ranks holds in each direction; 0: a send
   *     ends with its receive
   * @throws ScheduleViolation if no pipeline can run it
   */
  public static SimulationResult run(
      Schedule schedule, Timing timing, int buffers, PassListener listener) {
    return run(schedule, schedule::rank, timing, buffers, listener);
  }

  /**
   * Runs ranks that do what is given instead of what the schedule says.
   *
   * @param actions of each rank
   */
  static SimulationResult run(
      Schedule schedule,
      IntFunction<? extends Iterable<Action>> actions,
      Timing timing,
      int buffers,
      PassListener listener) {
    return new Simulation(schedule, actions, timing, buffers, listener).run();
  }

  private SimulationResult run() {
    ready.addAll(Arrays.asList(ranks));
    while (!ready.isEmpty()) {
      RankState rank = ready.pop();
      Action.Exchange exchange = rank.advance(timing, listener);
      if (exchange != null) {
        for (Transfer transfer : exchange.transfers()) {
          post(rank, exchange.tick(), transfer);
        }
      }
    }
    checkEnd();
    return result();
  }

  private void post(RankState rank, int tick, Transfer transfer) {
    int n = ranks.length;
    boolean sends = transfer.kind().isSend();
    boolean toNext = sends == transfer.kind().isForward();
    int peer = (rank.rank() + (toNext ? 1 : n - 1)) % n;
    if (transfer.peer() != peer) {
      throw new ScheduleViolation(
          "rank %d does not meet rank %d but rank %d in %s"
              .formatted(rank.rank(), peer, transfer.peer(), transfer));
    }
    int sender = sends ? rank.rank() : peer;
    Link link = (transfer.kind().isForward() ? forward : backward)[sender];
    double latency = sends ? timing.transfer(sender, transfer) : 0;
    Link.End end = new Link.End(rank, transfer, tick, rank.time(), latency);
    if (sends) {
      link.send(end);
    } else {
      link.receive(end);
    }
  }

  private void checkEnd() {
    String waiting =
        Arrays.stream(ranks)
            .filter(RankState::waits)
            .limit(SHOWN)
            .map(RankState::toString)
            .collect(Collectors.joining("; "));
    if (!waiting.isEmpty()) {
      throw new ScheduleViolation("ranks wait for ever: " + waiting);
    }
    for (int rank = 0; rank < ranks.length; rank++) {
      if (!forward[rank].isEmpty() || !backward[rank].isEmpty()) {
        throw new ScheduleViolation("rank %d sends what nobody receives".formatted(rank));
      }
    }
  }

  private SimulationResult result() {
    double duration = Arrays.stream(ranks).mapToDouble(RankState::time).max().orElse(0);
    return new SimulationResult(
        duration,
        Arrays.stream(ranks).map(RankState::busy).toList(),
        Arrays.stream(ranks).map(RankState::mostKept).toList(),
        Arrays.stream(ranks).mapToLong(RankState::passes).sum());
  }
}
