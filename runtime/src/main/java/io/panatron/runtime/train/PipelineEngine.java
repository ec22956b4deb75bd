package io.panatron.runtime.train;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.Work;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.pipeline.Action;
import io.panatron.runtime.parallel.pipeline.RankSchedule;
import io.panatron.runtime.parallel.pipeline.Transfer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Carries out one rank's part of a pipeline schedule: passes of micro-batches through its model
 * chunks, and the exchange of activations and gradients with its neighbours.
 */
final class PipelineEngine {
  private final RankContext rank;
  private final Communicator pipeline;
  private final ChunkPasses passes;
  private final DType dtype;
  private final int hidden;
  private final boolean checkMemory;
  private final Map<Slot, Flight> flights = new LinkedHashMap<>();
  private long peakBytes;

  /** What this rank's model chunks do with a micro-batch. */
  interface ChunkPasses {
    /** Tokens of a micro-batch on this rank. */
    long tokens(int microBatch);

    /**
     * The forward pass through a chunk.
     *
     * @param received the hidden states of the stage before, taken over; null in the first stage
     * @return the hidden states for the next stage, or null in the last, where the tape itself
     *     knows the gradient
     */
    @Nullable Tensor forward(Tape tape, int microBatch, int chunk, @Nullable Tensor received);
  }

  /** A micro-batch in a chunk. */
  private record Slot(int microBatch, int chunk) {}

  /** What is kept of a micro-batch in a chunk, from the arrival of its input to the end. */
  private static final class Flight {
    final MemoryScope scope;
    final Tape tape;
    @Nullable Tensor input;
    @Nullable Tensor output;
    @Nullable Tensor outputGradient;
    @Nullable Tensor inputGradient;

    Flight(MemoryScope scope, Tape tape) {
      this.scope = scope;
      this.tape = tape;
    }
  }

  /**
   * An engine for one rank.
   *
   * @param dtype of what crosses between stages
   * @param hidden its width
   */
  PipelineEngine(
      RankContext rank, ChunkPasses passes, DType dtype, int hidden, boolean checkMemory) {
    this.rank = rank;
    this.pipeline = rank.groups().pipeline();
    this.passes = passes;
    this.dtype = dtype;
    this.hidden = hidden;
    this.checkMemory = checkMemory;
  }

  /** The most bytes that the micro-batches under way took at one time. */
  long peakBytes() {
    return peakBytes;
  }

  /** Carries out a schedule to its end. Whatever happens, no memory stays lent. */
  void run(RankSchedule schedule) {
    boolean forwardOnly = schedule.schedule().forwardOnly();
    try {
      for (Action action : schedule) {
        switch (action) {
          case Action.Forward pass ->
              forward(new Slot(pass.microBatch(), pass.chunk()), forwardOnly);
          case Action.Backward pass -> backward(new Slot(pass.microBatch(), pass.chunk()));
          case Action.Exchange exchange -> exchange(exchange.transfers(), forwardOnly);
        }
      }
      if (!flights.isEmpty()) {
        throw new IllegalStateException("passes without an end: " + flights.keySet());
      }
    } finally {
      flights.values().forEach(flight -> flight.scope.close());
      flights.clear();
    }
  }

  private void forward(Slot slot, boolean forwardOnly) {
    Flight flight = flights.computeIfAbsent(slot, key -> open(key, forwardOnly));
    flight.output = passes.forward(flight.tape, slot.microBatch(), slot.chunk(), flight.input);
    notePeak();
    if (forwardOnly && flight.output == null) {
      end(slot);
    }
  }

  private void backward(Slot slot) {
    Flight flight = flight(slot);
    if (flight.output != null) {
      flight.tape.giveGradient(flight.output, Objects.requireNonNull(flight.outputGradient));
    }
    if (flight.input == null) {
      flight.tape.backward();
      notePeak();
      end(slot);
    } else {
      flight.inputGradient = flight.tape.backward(flight.input);
      notePeak();
    }
  }

  private void exchange(List<Transfer> transfers, boolean forwardOnly) {
    List<Work> started = new ArrayList<>(transfers.size());
    for (Transfer transfer : transfers) {
      started.add(start(transfer, forwardOnly));
    }
    started.forEach(Work::await);
    for (Transfer transfer : transfers) {
      Slot slot = slot(transfer);
      switch (transfer.kind()) {
        case SEND_FORWARD -> {
          Flight flight = flight(slot);
          flight.tape.release(Objects.requireNonNull(flight.output));
          if (forwardOnly) {
            end(slot);
          }
        }
        case SEND_BACKWARD -> end(slot);
        case RECEIVE_FORWARD, RECEIVE_BACKWARD -> {}
      }
    }
  }

  private Work start(Transfer transfer, boolean forwardOnly) {
    Slot slot = slot(transfer);
    return switch (transfer.kind()) {
      case SEND_FORWARD -> send(flight(slot).output, transfer);
      case SEND_BACKWARD -> send(flight(slot).inputGradient, transfer);
      case RECEIVE_FORWARD -> {
        Flight flight = open(slot, forwardOnly);
        flights.put(slot, flight);
        Tensor input = allocate(flight, "received", transfer);
        flight.input = input;
        yield pipeline.startReceive(input, transfer.peer(), transfer.tag());
      }
      case RECEIVE_BACKWARD -> {
        Flight flight = flight(slot);
        Tensor gradient = allocate(flight, "received gradient", transfer);
        flight.outputGradient = gradient;
        yield pipeline.startReceive(gradient, transfer.peer(), transfer.tag());
      }
    };
  }

  private Work send(@Nullable Tensor x, Transfer transfer) {
    return pipeline.startSend(Objects.requireNonNull(x), transfer.peer(), transfer.tag());
  }

  private Tensor allocate(Flight flight, String label, Transfer transfer) {
    return flight.tape.allocate(label, dtype, passes.tokens(transfer.microBatch()), hidden);
  }

  private Flight open(Slot slot, boolean forwardOnly) {
    MemoryScope scope =
        rank.memory()
            .scope("micro-batch " + slot.microBatch() + " chunk " + slot.chunk(), checkMemory);
    return new Flight(
        scope,
        forwardOnly
            ? Tape.inference(rank.backend(), scope)
            : Tape.recording(rank.backend(), scope));
  }

  private Flight flight(Slot slot) {
    return Objects.requireNonNull(flights.get(slot), () -> slot + " is not under way");
  }

  private void end(Slot slot) {
    Objects.requireNonNull(flights.remove(slot)).scope.close();
  }

  private static Slot slot(Transfer transfer) {
    return new Slot(transfer.microBatch(), transfer.chunk());
  }

  private void notePeak() {
    long bytes = 0;
    for (Flight flight : flights.values()) {
      bytes += flight.scope.currentBytes();
    }
    peakBytes = Math.max(peakBytes, bytes);
  }
}
