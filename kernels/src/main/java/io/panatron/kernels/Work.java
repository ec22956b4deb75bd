package io.panatron.kernels;

/**
 * A communication under way. The tensors it was given belong to it until {@link #await} returns or
 * {@link #isDone} says so: what is sent must not change, what is received must not be read.
 */
public interface Work {
  /** Work that is done already. */
  Work DONE =
      new Work() {
        @Override
        public void await() {}

        @Override
        public boolean isDone() {
          return true;
        }
      };

  /**
   * Returns when the results are there and what was sent may be overwritten. Once is required; more
   * often is harmless.
   *
   * @throws CommunicationException if another rank failed, left or did something else, or if
   *     nothing arrived in time
   */
  void await();

  /** Whether {@link #await} would return, or throw, at once. */
  boolean isDone();
}
