package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.checkpoint.TensorSource;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.optim.FlatState;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.WritableByteChannel;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Moves shards of parameters: out of whole tensors of files to the rank that holds them, and from
 * all ranks of a group back into whole tensors on its first rank.
 *
 * <p>A whole tensor lies on the host of the first rank while it is written; nothing larger does.
 */
final class ShardTransfer {
  /** Bytes moved at a time from a file. */
  private static final long CHUNK_BYTES = 4L << 20;

  private static final int TAG = 0;

  private final Backend backend;
  private final TensorParallel parallel;
  private final ShardGathering gathering;
  private final MemoryPool memory;

  /**
   * @param parallel of several ranks
   * @param memory lends what the messages need
   */
  ShardTransfer(Backend backend, TensorParallel parallel, MemoryPool memory) {
    this.backend = backend;
    this.parallel = parallel;
    this.gathering = new ShardGathering(Objects.requireNonNull(parallel.group()));
    this.memory = memory;
  }

  ShardGathering gathering() {
    return gathering;
  }

  /** Numbers of one kind that belong to a parameter of this rank. */
  @FunctionalInterface
  interface Local {
    /** Writes consecutive elements to the host. */
    void read(long first, long count, MemorySegment host);
  }

  /** The numbers of a parameter in a flat tensor. */
  Local local(Tensor parameter) {
    Tensor flat = parameter.reshape(parameter.elements());
    return (first, count, host) -> backend.device().download(flat.slice(first, count), host);
  }

  /** The numbers of a parameter in optimizer state, as F32. */
  static Local local(FlatState state, String parameter) {
    return (first, count, host) -> {
      for (long done = 0; done < count; done += state.chunk()) {
        long length = Math.min(state.chunk(), count - done);
        MemorySegment part = host.asSlice(done * Float.BYTES, length * Float.BYTES);
        state.download(parameter, first + done, length, part);
      }
    };
  }

  /**
   * Overwrites a rank's parameter with its pieces of a file's tensor, converting their dtype.
   *
   * @param dtype of the tensor
   */
  void load(
      SafetensorsTensor tensor,
      DType dtype,
      List<ShardPiece> pieces,
      Tensor parameter,
      MemoryScope scratch) {
    for (ShardPiece piece : pieces) {
      long width = piece.columns().count();
      long step = Math.clamp(CHUNK_BYTES / dtype.bytes() / width, 1, piece.rows());
      Tensor staging = scratch.allocate("weights from file", dtype, step * width);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment host = arena.allocate(staging.bytes(), 8);
        for (long first = 0; first < piece.rows(); first += step) {
          ShardPiece rows = piece.rows(first, Math.min(step, piece.rows() - first));
          rows.take(tensor.data(), piece.part().transposed(), dtype.bytes(), host);
          Tensor part = staging.slice(0, rows.elements());
          backend.device().upload(host.asSlice(0, part.bytes()), part);
          Tensor into = parameter.slice(rows.row(), rows.rows());
          backend.copy(part, into.reshape(into.elements()));
        }
      }
      scratch.release(staging);
    }
  }

  /** Overwrites a rank's part of optimizer state with its pieces of a file's F32 tensor. */
  void load(SafetensorsTensor tensor, List<ShardPiece> pieces, FlatState state, String parameter) {
    for (ShardPiece piece : pieces) {
      long width = piece.columns().count();
      long step = Math.clamp(state.chunk() / width, 1, piece.rows());
      if (width > state.chunk()) {
        throw new IllegalArgumentException("a row of " + width + " numbers of optimizer state");
      }
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment host = arena.allocate(step * width * Float.BYTES, 8);
        for (long first = 0; first < piece.rows(); first += step) {
          ShardPiece rows = piece.rows(first, Math.min(step, piece.rows() - first));
          rows.take(tensor.data(), false, Float.BYTES, host);
          state.upload(parameter, rows.row() * width, rows.elements(), host);
        }
      }
    }
  }

  /**
   * A whole tensor, to be written by the first rank; every rank lists it here.
   *
   * @param name in the file
   * @param fileDtype under which it is saved
   * @param transposed whether the file has the rows as columns
   * @param dtype of the numbers on their way
   */
  TensorSource source(
      String name,
      SafetensorsDtype fileDtype,
      ParameterLayout layout,
      ParameterLayout.Part part,
      boolean transposed,
      DType dtype,
      Local local) {
    int number = gathering.add(() -> send(pieces(layout, part, parallel.rank()), dtype, local));
    return new TensorSource(
        name,
        fileDtype,
        layout.shape(part),
        out -> write(number, layout, part, transposed, dtype, local, out));
  }

  private List<ShardPiece> pieces(ParameterLayout layout, ParameterLayout.Part part, int rank) {
    return ParameterShard.of(layout, rank, parallel.size(), parallel.sequence()).pieces(part);
  }

  private void send(List<ShardPiece> pieces, DType dtype, Local local) {
    Communicator group = gathering.group();
    for (ShardPiece piece : pieces) {
      try (MemoryScope scope = memory.scope("checkpoint gathering", false);
          Arena arena = Arena.ofConfined()) {
        Tensor message = scope.allocate("piece of a tensor", dtype, piece.elements());
        MemorySegment host = arena.allocate(message.bytes(), 8);
        local.read(piece.row() * piece.columns().count(), piece.elements(), host);
        backend.device().upload(host, message);
        group.send(message, 0, TAG);
      }
    }
  }

  private void write(
      int number,
      ParameterLayout layout,
      ParameterLayout.Part part,
      boolean transposed,
      DType dtype,
      Local local,
      WritableByteChannel out)
      throws IOException {
    gathering.request(number);
    long elements = Arrays.stream(layout.shape(part)).reduce(1, Math::multiplyExact);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment whole = arena.allocate(elements * dtype.bytes(), 8);
      for (int rank = 0; rank < parallel.size(); rank++) {
        for (ShardPiece piece : pieces(layout, part, rank)) {
          try (Arena passing = Arena.ofConfined()) {
            MemorySegment host = passing.allocate(piece.elements() * dtype.bytes(), 8);
            if (rank == parallel.rank()) {
              local.read(piece.row() * piece.columns().count(), piece.elements(), host);
            } else {
              receive(rank, dtype, piece.elements(), host);
            }
            piece.put(host, transposed, dtype.bytes(), whole);
          }
        }
      }
      TensorSource.write(whole, out);
    }
  }

  private void receive(int from, DType dtype, long elements, MemorySegment host) {
    try (MemoryScope scope = memory.scope("checkpoint gathering", false)) {
      Tensor message = scope.allocate("piece of a tensor", dtype, elements);
      gathering.group().receive(message, from, TAG);
      backend.device().download(message, host);
    }
  }
}
