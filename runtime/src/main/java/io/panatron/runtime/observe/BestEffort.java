package io.panatron.runtime.observe;

import java.util.function.Consumer;

/**
 * Something beside the training that must not end it: the first failure is said, and what failed is
 * not tried again.
 */
public final class BestEffort {
  private final String loss;
  private final Consumer<String> say;
  private boolean failed;

  /** An action that may fail. */
  @FunctionalInterface
  public interface Action {
    /** Does it. */
    void run() throws Exception;
  }

  /**
   * Nothing has failed yet.
   *
   * @param loss what the user then does without, as the start of a sentence
   */
  public BestEffort(String loss, Consumer<String> say) {
    this.loss = loss;
    this.say = say;
  }

  /** Runs the action unless an earlier one failed. */
  public void run(Action action) {
    if (failed) {
      return;
    }
    try {
      action.run();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      fail(e);
    } catch (Exception e) {
      fail(e);
    } catch (Error e) {
      if (!isLackOfAPart(e)) {
        throw e;
      }
      fail(e);
    }
  }

  /** A Java without a part, such as one without java.desktop, or a display that cannot be had. */
  private static boolean isLackOfAPart(Error error) {
    // By name, since naming the class would load AWT before the first step.
    return error instanceof LinkageError || error.getClass().getName().equals("java.awt.AWTError");
  }

  private void fail(Throwable cause) {
    failed = true;
    String message = cause.getMessage();
    String name = cause.getClass().getSimpleName();
    say.accept(
        loss + " (" + (message == null ? name : name + ": " + message) + "); the run goes on.");
  }
}
