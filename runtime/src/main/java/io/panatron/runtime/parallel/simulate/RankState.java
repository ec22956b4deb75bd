package io.panatron.runtime.parallel.simulate;

import io.panatron.runtime.parallel.pipeline.Action;
import io.panatron.runtime.parallel.pipeline.Schedule;
import io.panatron.runtime.parallel.pipeline.Transfer;
import java.util.ArrayDeque;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;

/** How far a rank has come. */
final class RankState {
  private final int rank;
  private final RankLedger ledger;
  private final Iterator<Action> actions;
  private final ArrayDeque<RankState> ready;
  private double time;
  private double busy;
  private long passes;
  private int tick = Integer.MIN_VALUE;
  private Action.@Nullable Exchange exchange;
  private int open;
  private double ends;

  /**
   * A rank that has done nothing yet.
   *
   * @param ready takes this rank whenever its exchange has ended
   */
  RankState(Schedule schedule, int rank, Iterator<Action> actions, ArrayDeque<RankState> ready) {
    this.rank = rank;
    this.ledger = new RankLedger(schedule, rank);
    this.actions = actions;
    this.ready = ready;
  }

  int rank() {
    return rank;
  }

  double time() {
    return time;
  }

  double busy() {
    return busy;
  }

  long passes() {
    return passes;
  }

  int mostKept() {
    return ledger.mostKept();
  }

  /**
   * Computes until there is something to exchange.
   *
   * @return what is to be exchanged, or null at the end
   */
  Action.@Nullable Exchange advance(Timing timing, PassListener listener) {
    exchange = null;
    while (actions.hasNext()) {
      switch (actions.next()) {
        case Action.Pass pass -> {
          ledger.pass(pass);
          double start = time;
          double duration = timing.pass(rank, pass);
          time += duration;
          busy += duration;
          passes++;
          listener.passed(rank, pass, start, time);
        }
        case Action.Exchange next -> {
          begin(next);
          return next;
        }
      }
    }
    ledger.finish();
    return null;
  }

  private void begin(Action.Exchange next) {
    if (next.tick() <= tick) {
      throw new ScheduleViolation(
          "rank %d exchanges at tick %d after tick %d".formatted(rank, next.tick(), tick));
    }
    next.transfers().forEach(ledger::transfer);
    tick = next.tick();
    exchange = next;
    open = next.transfers().size();
  }

  /** Notes that one of the transfers of the current exchange ended. */
  void completed(Transfer transfer, double end) {
    if (!transfer.kind().isSend()) {
      ledger.received(transfer);
    }
    open--;
    ends = Math.max(ends, end);
    if (open == 0) {
      time = Math.max(time, ends);
      exchange = null;
      ready.push(this);
    }
  }

  /** Whether it waits for others in an exchange. */
  boolean waits() {
    return exchange != null;
  }

  @Override
  public String toString() {
    return "rank %d in %s".formatted(rank, exchange == null ? "no exchange" : exchange);
  }
}
