package io.panatron.kernels;

import java.util.EnumMap;
import java.util.Map;

/**
 * What one rank has exchanged through one communicator since it was opened: for each kind of
 * operation, how often it was called and how many bytes this rank passed to it.
 *
 * <p>Bytes are those of the tensor as the mathematics counts them, independent of how an engine
 * moves them: the reduced tensor of an all-reduce or broadcast, the whole of an all-gather or
 * reduce-scatter, what this rank sends of an all-to-all or point-to-point message. Host numbers and
 * host bytes are not counted.
 */
public record Traffic(Map<Kind, Long> calls, Map<Kind, Long> bytes) {
  /** Nothing yet. */
  public static final Traffic NONE = new Traffic(Map.of(), Map.of());

  /** The kinds of operations that are counted. */
  public enum Kind {
    ALL_REDUCE,
    BROADCAST,
    ALL_GATHER,
    REDUCE_SCATTER,
    ALL_TO_ALL,
    SEND,
    RECEIVE
  }

  public Traffic {
    calls = Map.copyOf(calls);
    bytes = Map.copyOf(bytes);
  }

  public long calls(Kind kind) {
    return calls.getOrDefault(kind, 0L);
  }

  public long bytes(Kind kind) {
    return bytes.getOrDefault(kind, 0L);
  }

  /** What was exchanged since {@code earlier}. */
  public Traffic since(Traffic earlier) {
    Map<Kind, Long> callsSince = new EnumMap<>(Kind.class);
    Map<Kind, Long> bytesSince = new EnumMap<>(Kind.class);
    for (Kind kind : Kind.values()) {
      callsSince.put(kind, calls(kind) - earlier.calls(kind));
      bytesSince.put(kind, bytes(kind) - earlier.bytes(kind));
    }
    return new Traffic(callsSince, bytesSince);
  }
}
