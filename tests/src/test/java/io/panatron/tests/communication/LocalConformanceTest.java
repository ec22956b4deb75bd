package io.panatron.tests.communication;

/** The suite among threads of one virtual machine. */
class LocalConformanceTest extends CommunicatorConformance {
  @Override
  CommunicationEngine engine() {
    return new LocalEngine();
  }
}
