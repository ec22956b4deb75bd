package io.panatron.runtime.train;

import java.util.concurrent.CountDownLatch;

/**
 * A request from outside to end the run soon but cleanly: the loop finishes its step, saves and
 * returns.
 *
 * <p>Registered as a JVM shutdown hook it answers SIGTERM and SIGINT; the hook holds the JVM until
 * the run {@link #finished()}.
 */
public final class StopRequest {
  private final CountDownLatch finished = new CountDownLatch(1);
  private volatile boolean requested;

  /** No request yet. */
  public StopRequest() {}

  /** Asks the loop to stop after the step it is in. */
  public void request() {
    requested = true;
  }

  public boolean isRequested() {
    return requested;
  }

  /** Says that everything worth keeping is on disk. */
  public void finished() {
    finished.countDown();
  }

  /** Installs the shutdown hook; {@link #finished()} must be called on every way out of the run. */
  public void listenToSignals() {
    Runtime.getRuntime()
        .addShutdownHook(
            Thread.ofPlatform()
                .name("stop-request")
                .unstarted(() -> {
                  request();
                  awaitFinished();
                }));
  }

  private void awaitFinished() {
    try {
      finished.await();
    } catch (InterruptedException e) {
      // The JVM is going down anyway; do not hold it any longer.
      Thread.currentThread().interrupt();
    }
  }
}
