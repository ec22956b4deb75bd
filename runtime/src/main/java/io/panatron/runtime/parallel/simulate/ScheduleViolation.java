package io.panatron.runtime.parallel.simulate;

/** A schedule that no pipeline can run: says which rank, which action, and why. */
public final class ScheduleViolation extends RuntimeException {
  private static final long serialVersionUID = 1L;

  ScheduleViolation(String message) {
    super(message);
  }
}
