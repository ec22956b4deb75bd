package io.panatron.tests.communication;

/** What runs ranks that communicate; the suite of {@link CommunicatorConformance} is for all. */
interface CommunicationEngine {
  /** What every rank does. */
  @FunctionalInterface
  interface Body {
    void run(RankUnderTest rank) throws Exception;
  }

  /** Whether it can run so many ranks. */
  boolean runs(int size);

  /** Runs the body on ranks that compare their operations; the first failure is thrown. */
  void run(int size, Body body);
}
