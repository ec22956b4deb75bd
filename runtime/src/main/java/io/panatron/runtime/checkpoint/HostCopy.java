package io.panatron.runtime.checkpoint;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Host memory that holds a copy of a checkpoint's tensors while it is written. Taken from the
 * system once and used for one checkpoint after another; for one thread at a time.
 */
final class HostCopy implements AutoCloseable {
  /** Each tensor begins at a cache line. */
  private static final long ALIGNMENT = 64;

  private static final long PAGE = 4096;

  private @Nullable Arena arena;
  private MemorySegment memory = MemorySegment.NULL;
  private long used;

  /**
   * Takes the memory that tensors of {@code bytes} need, unless it is there.
   *
   * @throws UserError where the machine has not so much
   */
  @SuppressWarnings("MustBeClosedChecker") // the arena is this object's and closed with it
  void reserve(long bytes) {
    if (memory.byteSize() >= bytes) {
      return;
    }
    close();
    Arena fresh = Arena.ofShared();
    arena = fresh;
    try {
      memory = fresh.allocate(bytes, PAGE);
    } catch (OutOfMemoryError e) {
      close();
      throw new UserError(
          "--async_save true copies a checkpoint before it is written, for which the %s it takes cannot"
                  .formatted(TemporaryFolder.readable(bytes))
              + " be had; free memory, leave the optimizer out with --no_save_optim true, or leave"
              + " --async_save out.",
          e);
    }
  }

  /**
   * Copies all tensors and gives back the same checkpoint with the copies as its sources, good
   * until the next call.
   */
  CheckpointContents copy(CheckpointContents contents) throws IOException {
    reserve(bytes(contents));
    used = 0;
    ModelFolder model = contents.model();
    return new CheckpointContents(
        contents.iteration(),
        model.withWeights(copies(model.weights())),
        copies(contents.mainParameters()),
        copies(contents.optimizer()),
        contents.trainerState(),
        contents.argsJson());
  }

  private List<TensorSource> copies(List<TensorSource> tensors) throws IOException {
    List<TensorSource> copies = new ArrayList<>(tensors.size());
    for (TensorSource tensor : tensors) {
      MemorySegment copy = memory.asSlice(used, tensor.byteSize());
      tensor.copyTo(copy);
      used += aligned(tensor);
      copies.add(TensorSource.ofSegment(tensor.name(), tensor.dtype(), tensor.shape(), () -> copy));
    }
    return copies;
  }

  /** The memory that a copy of these tensors takes. */
  static long bytes(CheckpointContents contents) {
    long bytes = 0;
    for (List<TensorSource> tensors :
        List.of(contents.model().weights(), contents.mainParameters(), contents.optimizer())) {
      for (TensorSource tensor : tensors) {
        bytes += aligned(tensor);
      }
    }
    return bytes;
  }

  private static long aligned(TensorSource tensor) {
    return Math.ceilDiv(tensor.byteSize(), ALIGNMENT) * ALIGNMENT;
  }

  /** Gives the memory back. */
  @Override
  public void close() {
    Arena held = arena;
    arena = null;
    memory = MemorySegment.NULL;
    if (held != null) {
      held.close();
    }
  }
}
