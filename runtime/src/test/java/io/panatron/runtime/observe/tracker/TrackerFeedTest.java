package io.panatron.runtime.observe.tracker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class TrackerFeedTest {
  /** Longer than a busy machine needs; a feed that hangs fails the test. */
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private final List<String> said = new CopyOnWriteArrayList<>();
  private final FakeTracker tracker = new FakeTracker();
  private final CountDownLatch sent = new CountDownLatch(1);

  /** Keeps what it gets; the first {@code failures} calls that open or send fail. */
  private static final class FakeTracker implements Tracker {
    private final List<Long> iterations = new CopyOnWriteArrayList<>();
    private final List<Boolean> ends = new CopyOnWriteArrayList<>();
    private final CountDownLatch failed = new CountDownLatch(1);
    private final CountDownLatch fourRows = new CountDownLatch(4);
    private final CountDownLatch closed = new CountDownLatch(1);
    private int failures;
    private boolean refuses;
    private int mostAtOnce = Integer.MAX_VALUE;
    private final List<Integer> batches = new CopyOnWriteArrayList<>();

    @Override
    public String open() throws IOException {
      fail();
      return "http://tracker/run";
    }

    @Override
    public void send(List<TrackerRow> rows) throws IOException {
      fail();
      if (rows.size() > mostAtOnce) {
        throw new TooLargeException("it answers 413");
      }
      batches.add(rows.size());
      for (TrackerRow row : rows) {
        iterations.add(row.iteration());
        fourRows.countDown();
      }
    }

    private void fail() throws IOException {
      if (refuses) {
        throw new RefusedException("it answers 401");
      }
      if (failures > 0) {
        failures--;
        failed.countDown();
        throw new IOException("it answers 503");
      }
    }

    @Override
    public void heartbeat() {}

    @Override
    public void finish(boolean succeeded) {
      ends.add(succeeded);
    }

    @Override
    public void close() {
      closed.countDown();
    }
  }

  private TrackerFeed feed(TrackerFeed.Connection connection, Duration patience) {
    return new TrackerFeed(connection, Duration.ZERO, patience, said::add);
  }

  private static void rows(TrackerFeed feed, int from, int to) {
    for (int i = from; i <= to; i++) {
      feed.row(i, Map.of("loss", 1.0));
    }
  }

  @Test
  void everyRowArrivesOnceInOrderAndThenTheEnd() {
    TrackerFeed feed = feed(() -> tracker, PATIENCE);
    rows(feed, 1, 500);
    feed.close(true);

    assertThat(tracker.iterations).hasSize(500).isSorted().doesNotHaveDuplicates();
    assertThat(tracker.ends).containsExactly(true);
    assertThat(said).containsExactly("Reporting to      http://tracker/run");
  }

  @Test
  void rowsWaitForAServerThatComesBackAndTheFailureIsSaidOnce() throws InterruptedException {
    tracker.failures = 3;
    TrackerFeed feed = feed(() -> tracker, PATIENCE);
    rows(feed, 1, 2);
    assertThat(tracker.failed.await(60, TimeUnit.SECONDS)).isTrue();
    rows(feed, 3, 4);
    // The end makes one more try only, so the server must be back before.
    assertThat(tracker.fourRows.await(60, TimeUnit.SECONDS)).isTrue();
    feed.close(true);

    assertThat(tracker.iterations).containsExactly(1L, 2L, 3L, 4L);
    assertThat(said)
        .containsExactly(
            "The tracker cannot be reached (it answers 503); the run goes on.",
            "Reporting to      http://tracker/run");
  }

  @Test
  void rowsGoInBoundedBatches() {
    TrackerFeed feed = feed(waitingFor(3000), PATIENCE);
    rows(feed, 1, 3000);
    sent.countDown();
    feed.close(true);

    assertThat(tracker.iterations).hasSize(3000).isSorted().doesNotHaveDuplicates();
    assertThat(tracker.batches).hasSize(6).containsOnly(TrackerFeed.LARGEST_BATCH);
  }

  @Test
  void aServerThatTakesLessGetsSmallerBatches() {
    tracker.mostAtOnce = 70;
    TrackerFeed feed = feed(waitingFor(200), PATIENCE);
    rows(feed, 1, 200);
    sent.countDown();
    feed.close(true);

    assertThat(tracker.iterations).hasSize(200).isSorted().doesNotHaveDuplicates();
    assertThat(tracker.batches).containsExactly(50, 50, 50, 50);
    assertThat(said).containsExactly("Reporting to      http://tracker/run");
  }

  @Test
  void aRowThatIsTooLargeAloneEndsTheReporting() {
    tracker.mostAtOnce = 0;
    TrackerFeed feed = feed(waitingFor(4), PATIENCE);
    rows(feed, 1, 4);
    sent.countDown();
    feed.close(true);

    assertThat(said)
        .containsExactly(
            "Reporting to      http://tracker/run",
            "The tracker refuses the run (it answers 413); the run goes on.",
            "4 log rows did not reach the tracker; logging.jsonl has them.");
  }

  @Test
  void rowsAfterTheEndOfTheReportingAreCountedAndNotKept() throws InterruptedException {
    tracker.refuses = true;
    TrackerFeed feed = feed(() -> tracker, PATIENCE);
    rows(feed, 1, 1);
    assertThat(tracker.closed.await(60, TimeUnit.SECONDS)).isTrue();
    rows(feed, 2, 20_000);
    feed.close(true);

    assertThat(said)
        .last()
        .isEqualTo("20000 log rows did not reach the tracker; logging.jsonl has them.");
  }

  /** Connects when all rows are there. */
  private TrackerFeed.Connection waitingFor(int rows) {
    return () -> {
      try {
        sent.await();
      } catch (InterruptedException e) {
        throw new IOException("interrupted before there were " + rows + " rows", e);
      }
      return tracker;
    };
  }

  @Test
  void aRefusalEndsTheReporting() {
    tracker.refuses = true;
    TrackerFeed feed = feed(() -> tracker, PATIENCE);
    rows(feed, 1, 1);
    feed.close(true);
    rows(feed, 2, 2);

    assertThat(tracker.ends).isEmpty();
    assertThat(said)
        .containsExactly(
            "The tracker refuses the run (it answers 401); the run goes on.",
            "1 log rows did not reach the tracker; logging.jsonl has them.");
  }

  @Test
  void aServerThatNeverAnswersIsLeftWhenThePatienceEnds() {
    TrackerFeed feed =
        feed(
            () -> {
              try {
                new CountDownLatch(1).await();
              } catch (InterruptedException e) {
                throw new IOException("interrupted");
              }
              return tracker;
            },
            Duration.ofMillis(1));
    rows(feed, 1, 3);
    feed.close(true);

    assertThat(said).hasSize(2).last().asString().startsWith("3 log rows did not reach");
  }

  @Test
  void noRowMakesNoRun() {
    feed(() -> tracker, PATIENCE).close(true);

    assertThat(said).isEmpty();
    assertThat(tracker.ends).isEmpty();
  }
}
