package io.panatron.runtime.parallel.pipeline;

/**
 * An activation or a gradient that crosses from one pipeline rank to another.
 *
 * @param kind what crosses, and which way, seen from this rank
 * @param microBatch number of the micro-batch in the step
 * @param chunk model chunk of <em>this</em> rank that made it or needs it
 * @param peer pipeline rank at the other end
 * @param tag the same at both ends, different for all transfers of a step from one rank to another
 */
public record Transfer(Kind kind, int microBatch, int chunk, int peer, int tag) {
  /** Seen from the rank whose action it is. */
  public enum Kind {
    /** Output of a chunk to the next stage. */
    SEND_FORWARD,
    /** Input of a chunk from the stage before. */
    RECEIVE_FORWARD,
    /** Gradient of a chunk's input to the stage before. */
    SEND_BACKWARD,
    /** Gradient of a chunk's output from the next stage. */
    RECEIVE_BACKWARD;

    public boolean isSend() {
      return this == SEND_FORWARD || this == SEND_BACKWARD;
    }

    /** Whether activations cross, and not gradients. */
    public boolean isForward() {
      return this == SEND_FORWARD || this == RECEIVE_FORWARD;
    }
  }
}
