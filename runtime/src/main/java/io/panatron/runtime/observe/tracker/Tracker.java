package io.panatron.runtime.observe.tracker;

import java.io.IOException;
import java.util.List;

/** The run on a tracker's server. One thread uses it; every call is one or several requests. */
interface Tracker extends AutoCloseable {
  /**
   * Makes the run and returns where people find it.
   *
   * @throws RefusedException if the server does not want it
   */
  String open() throws IOException, InterruptedException;

  /** Adds rows, in order; sending the same rows again changes nothing. */
  void send(List<TrackerRow> rows) throws IOException, InterruptedException;

  /** Says that the run is alive, when there was nothing to send for a while. */
  void heartbeat() throws IOException, InterruptedException;

  /** Closes the run. */
  void finish(boolean succeeded) throws IOException, InterruptedException;

  @Override
  void close();
}
