package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;

/**
 * F32 scratch memory of one operation, laid out by a {@link Plan} and then taken in one piece:
 * parts that the operation shares and parts of which each worker has its own.
 */
final class CpuScratch implements AutoCloseable {
  /** Parts begin on a cache line of their own, so that workers do not slow each other down. */
  private static final long GRAIN = 64 / Float.BYTES;

  private final MemoryScope scope;
  private final Tensor tensor;
  private final MemorySegment segment;
  private final long shared;
  private final long perWorker;

  private CpuScratch(MemoryScope scope, String label, long shared, long perWorker, int workers) {
    this.scope = scope;
    this.shared = shared;
    this.perWorker = perWorker;
    tensor = scope.allocate(label, DType.F32, shared + perWorker * workers);
    segment = HostMemory.of(tensor);
  }

  /** Starts a layout. */
  static Plan plan(String label) {
    return new Plan(label);
  }

  /** All of it, positions counted in elements. */
  MemorySegment segment() {
    return segment;
  }

  /** Where a worker's copy of a part begins, in elements. */
  long own(int worker, long part) {
    return shared + worker * perWorker + part;
  }

  /** Address of an element. */
  long address(long position) {
    return segment.address() + position * Float.BYTES;
  }

  @Override
  public void close() {
    scope.release(tensor);
  }

  /** Collects the parts. */
  static final class Plan {
    private final String label;
    private long shared;
    private long perWorker;

    private Plan(String label) {
      this.label = label;
    }

    /** Adds a part that all workers see. */
    long share(long elements) {
      long part = shared;
      shared += round(elements);
      return part;
    }

    /** Adds a part of which each worker has its own. */
    long own(long elements) {
      long part = perWorker;
      perWorker += round(elements);
      return part;
    }

    CpuScratch take(MemoryScope scope, int workers) {
      return new CpuScratch(scope, label, shared, perWorker, workers);
    }

    private static long round(long elements) {
      return (elements + GRAIN - 1) / GRAIN * GRAIN;
    }
  }
}
