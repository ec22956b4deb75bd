package io.panatron.runtime.train;

import java.util.concurrent.CountDownLatch;

/**
 * A request from outside to end the run soon but cleanly: the loop finishes its step, saves and
 * returns.
 *
 * <p>Registered as a JVM shutdown hook it answers SIGTERM and SIGINT. Once training {@link #begin
 * begins}, the hook holds the JVM until the run {@link #finished()}; before that there is nothing
 * to save, so it lets the JVM end at once.
 */
public final class StopRequest {
  private final CountDownLatch finished = new CountDownLatch(1);
  private volatile boolean requested;
  private boolean begun;
  private boolean released;

  /** No request yet. */
  public StopRequest() {}

  /** Asks the loop to stop after the step it is in. */
  public void request() {
    requested = true;
  }

  public boolean isRequested() {
    return requested;
  }

  /**
   * Says that from here on there is something to save.
   *
   * @return false if the JVM is ending without it, so that nothing must be written any more
   */
  public synchronized boolean begin() {
    begun = !released;
    return begun;
  }

  /** What the shutdown hook does. */
  void end() {
    request();
    if (mustWait()) {
      awaitFinished();
    }
  }

  private synchronized boolean mustWait() {
    released = !begun;
    return begun;
  }

  /** Says that everything worth keeping is on disk. */
  public void finished() {
    finished.countDown();
  }

  /** Installs the shutdown hook; {@link #finished()} must be called on every way out of the run. */
  public void listenToSignals() {
    Runtime.getRuntime()
        .addShutdownHook(Thread.ofPlatform().name("stop-request").unstarted(this::end));
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
