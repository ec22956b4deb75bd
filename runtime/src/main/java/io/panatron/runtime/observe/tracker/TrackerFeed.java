package io.panatron.runtime.observe.tracker;

import io.panatron.runtime.observe.RowListener;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Sends log rows to a tracker from a thread of its own, so that no network holds up a step.
 *
 * <p>Rows go in batches, which become smaller where a server finds them too large. Those that could
 * not be sent wait for the next try. The first failure is said; a server that refuses ends the
 * reporting, after which rows are only counted, anything else ends with what is still unsent when
 * the run does.
 */
public final class TrackerFeed implements RowListener {
  /** Rows that wait while a server is away; the oldest are lost beyond that. */
  private static final int MOST_WAITING = 10_000;

  /** Rows of one request: some hundred kilobytes. */
  static final int LARGEST_BATCH = 500;

  private static final Duration HEARTBEAT = Duration.ofSeconds(30);

  private final Connection connection;
  private final Duration interval;
  private final Duration patience;
  private final Consumer<String> say;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Deque<TrackerRow> waiting = new ArrayDeque<>();
  private @Nullable Thread thread;
  private boolean closing;
  private boolean succeeded;
  private boolean over;
  private boolean opened;
  private boolean complained;
  private long lost;
  private int batch = LARGEST_BATCH;

  /** Makes a tracker; called once, in the thread that sends. */
  interface Connection {
    /** The tracker, not opened yet. */
    Tracker connect() throws IOException;
  }

  /**
   * A feed that has not begun.
   *
   * @param interval least time between two sendings, and before a failed one is tried again
   * @param patience how long the end of the run may wait for the server
   */
  TrackerFeed(Connection connection, Duration interval, Duration patience, Consumer<String> say) {
    this.connection = connection;
    this.interval = interval;
    this.patience = patience;
    this.say = say;
  }

  @Override
  public void row(long iteration, Map<String, ?> row) {
    lock.lock();
    try {
      if (over) {
        lost++;
        return;
      }
      if (waiting.size() == MOST_WAITING) {
        waiting.removeFirst();
        lost++;
      }
      waiting.addLast(TrackerRow.of(iteration, Instant.now(), row));
      if (thread == null) {
        thread = Thread.ofPlatform().daemon().name("tracker").start(this::run);
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Sends what waits and closes the run at the tracker, within the patience. */
  public void close(boolean runSucceeded) {
    Thread sender;
    lock.lock();
    try {
      closing = true;
      succeeded = runSucceeded;
      sender = thread;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    if (sender == null) {
      return;
    }
    try {
      if (!sender.join(patience)) {
        sender.interrupt();
        sender.join();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (lost > 0) {
      say.accept("%d log rows did not reach the tracker; logging.jsonl has them.".formatted(lost));
    }
  }

  private void run() {
    try (Tracker tracker = connection.connect()) {
      boolean last;
      do {
        last = awaitWork();
        boolean sent = attempt(tracker);
        if (last && sent) {
          tracker.finish(succeeded);
        }
      } while (!last && !over);
    } catch (InterruptedException e) {
      complain("the run ended before the server answered");
    } catch (IOException | RuntimeException e) {
      complain(String.valueOf(e.getMessage()));
    } finally {
      stop();
    }
  }

  /** Waits for rows, for the time of a heartbeat or for the end; true at the end. */
  private boolean awaitWork() throws InterruptedException {
    lock.lock();
    try {
      if (opened || complained) {
        await(interval, () -> closing);
      }
      await(HEARTBEAT, () -> closing || !waiting.isEmpty());
      return closing;
    } finally {
      lock.unlock();
    }
  }

  private void await(Duration time, BooleanSupplier until) throws InterruptedException {
    long left = time.toNanos();
    while (left > 0 && !until.getAsBoolean()) {
      left = changed.awaitNanos(left);
    }
  }

  /** Sends all rows that wait; false if some still do. */
  private boolean attempt(Tracker tracker) throws InterruptedException {
    try {
      if (!opened) {
        say.accept("Reporting to      " + tracker.open());
        opened = true;
      }
      List<TrackerRow> rows = first();
      if (rows.isEmpty()) {
        tracker.heartbeat();
      }
      while (!rows.isEmpty()) {
        send(tracker, rows);
        rows = first();
      }
      return true;
    } catch (RefusedException e) {
      say.accept("The tracker refuses the run (" + e.getMessage() + "); the run goes on.");
      stop();
      return false;
    } catch (IOException e) {
      String message = e.getMessage();
      complain(message == null ? e.getClass().getSimpleName() : message);
      return false;
    }
  }

  /** Sends rows, or makes the next batch smaller. */
  private void send(Tracker tracker, List<TrackerRow> rows)
      throws IOException, InterruptedException {
    try {
      tracker.send(rows);
      remove(rows);
    } catch (TooLargeException e) {
      if (rows.size() == 1) {
        throw new RefusedException(String.valueOf(e.getMessage()));
      }
      batch = rows.size() / 2;
    }
  }

  /** The first rows that wait, a batch at most. */
  private List<TrackerRow> first() {
    lock.lock();
    try {
      return waiting.stream().limit(batch).toList();
    } finally {
      lock.unlock();
    }
  }

  /** Takes off what was sent, as far as it was not given up meanwhile. */
  private void remove(List<TrackerRow> sent) {
    lock.lock();
    try {
      TrackerRow last = sent.getLast();
      if (waiting.contains(last)) {
        while (waiting.removeFirst() != last) {
          // Everything up to it was sent.
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private void stop() {
    lock.lock();
    try {
      over = true;
      lost += waiting.size();
      waiting.clear();
    } finally {
      lock.unlock();
    }
  }

  private void complain(String why) {
    if (!complained) {
      complained = true;
      say.accept("The tracker cannot be reached (" + why + "); the run goes on.");
    }
  }
}
