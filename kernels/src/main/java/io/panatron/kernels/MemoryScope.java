package io.panatron.kernels;

import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The owner of tensors: what it allocates lives until its last reference is released or the scope
 * closes.
 *
 * <p>An allocation starts with one reference. {@link #retain} adds one for a second holder (a tape
 * that saves an input), {@link #release} gives one up; at zero the memory goes back to the pool at
 * once. A single holder can {@link #evict} what it can compute again, and {@link #restore} it
 * later.
 *
 * <p>A checked scope surrounds each buffer with red zones, fills it with NaN patterns, and refuses
 * use after release, release by another thread, and overruns found at release.
 */
public final class MemoryScope implements AutoCloseable {
  private final MemoryPool pool;
  private final String name;
  private final boolean checked;
  private final Thread thread = Thread.currentThread();

  /** In order of allocation, so that closing returns blocks in the same order in every run. */
  private final Set<Buffer> live = new LinkedHashSet<>();

  private long currentBytes;
  private long peakBytes;
  private boolean closed;

  MemoryScope(MemoryPool pool, String name, boolean checked) {
    this.pool = pool;
    this.name = name;
    this.checked = checked;
  }

  public String name() {
    return name;
  }

  /** Bytes now lent by this scope. */
  public long currentBytes() {
    return currentBytes;
  }

  /** The most bytes lent by this scope at one time. */
  public long peakBytes() {
    return peakBytes;
  }

  /** How many buffers are live. */
  public int liveBuffers() {
    return live.size();
  }

  /** An uninitialised tensor with one reference. */
  public Tensor allocate(String label, DType dtype, long... extents) {
    return allocate(label, dtype, Shape.of(extents));
  }

  /** An uninitialised tensor with one reference. */
  public Tensor allocate(String label, DType dtype, Shape shape) {
    if (closed) {
      throw new IllegalStateException("scope " + name + " is closed; cannot allocate " + label);
    }
    checkThread(label);
    long bytes = Math.multiplyExact(shape.elements(), (long) dtype.bytes());
    Buffer buffer = new Buffer(this, take(bytes), label, zone(), bytes);
    live.add(buffer);
    paint(buffer);
    return new Tensor(buffer, 0, shape, dtype);
  }

  /**
   * Gives the memory of a tensor back to the pool while handle and holder stay, until {@link
   * #restore} gives it other memory. In between it must not be read.
   *
   * @throws IllegalStateException if the tensor has a second holder, who might read it
   */
  public void evict(Tensor tensor) {
    Buffer buffer = tensor.buffer();
    requireLive(buffer, "evict");
    checkThread(buffer.label());
    if (buffer.references() != 1 || buffer.isEvicted()) {
      throw new IllegalStateException(
          "cannot evict "
              + buffer.label()
              + (buffer.isEvicted() ? " twice" : ": it has " + buffer.references() + " holders"));
    }
    free(buffer);
    buffer.evict();
  }

  /** Gives an evicted tensor memory again, uninitialised. */
  public void restore(Tensor tensor) {
    Buffer buffer = tensor.buffer();
    requireLive(buffer, "restore");
    checkThread(buffer.label());
    if (!buffer.isEvicted()) {
      throw new IllegalStateException("cannot restore " + buffer.label() + ": it was not evicted");
    }
    buffer.restore(take(buffer.bytes()));
    paint(buffer);
  }

  /** Adds a reference. */
  public void retain(Tensor tensor) {
    Buffer buffer = tensor.buffer();
    requireLive(buffer, "retain");
    checkThread(buffer.label());
    buffer.retain();
  }

  /** Gives up a reference; the last one returns the memory to the pool. */
  public void release(Tensor tensor) {
    Buffer buffer = tensor.buffer();
    requireLive(buffer, "release");
    checkThread(buffer.label());
    if (buffer.drop() == 0) {
      live.remove(buffer);
      free(buffer);
    }
  }

  /** How many holders the tensor's memory has. */
  public int references(Tensor tensor) {
    requireLive(tensor.buffer(), "count");
    return tensor.buffer().references();
  }

  /** Whether anybody holds the tensor, which this scope allocated. */
  public boolean isHeld(Tensor tensor) {
    return live.contains(tensor.buffer());
  }

  /**
   * Returns everything still live to the pool.
   *
   * @throws IllegalStateException if a buffer of a checked scope was overrun; all others are
   *     returned nevertheless, and further overruns are suppressed exceptions of the first
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    checkThread("closing");
    closed = true;
    @Nullable IllegalStateException overrun = null;
    for (Buffer buffer : live) {
      try {
        free(buffer);
      } catch (IllegalStateException e) {
        if (overrun == null) {
          overrun = e;
        } else {
          overrun.addSuppressed(e);
        }
      }
    }
    live.clear();
    if (overrun != null) {
      throw overrun;
    }
  }

  void checkUse(Buffer buffer) {
    if (checked && !buffer.isLive()) {
      throw new IllegalStateException(
          "use of " + buffer.label() + " of scope " + name + " after its release");
    }
  }

  private MemoryPool.Block take(long bytes) {
    MemoryPool.Block block = pool.take(bytes + 2 * zone());
    currentBytes += block.size();
    peakBytes = Math.max(peakBytes, currentBytes);
    return block;
  }

  private long zone() {
    return checked ? RedZones.BYTES : 0;
  }

  private void paint(Buffer buffer) {
    if (checked) {
      RedZones.paint(pool.device(), buffer);
    }
  }

  private void free(Buffer buffer) {
    if (buffer.isEvicted()) {
      return;
    }
    currentBytes -= buffer.block().size();
    try {
      if (checked && !pool.isClosed()) {
        RedZones.verify(pool.device(), buffer);
      }
    } finally {
      pool.giveBack(buffer.block());
    }
  }

  private void requireLive(Buffer buffer, String action) {
    if (buffer.owner() != this || !live.contains(buffer)) {
      throw new IllegalStateException(
          "cannot " + action + " " + buffer.label() + ": scope " + name + " does not hold it");
    }
  }

  private void checkThread(String label) {
    if (checked && Thread.currentThread() != thread) {
      throw new IllegalStateException(
          label
              + " of scope "
              + name
              + " was touched by thread "
              + Thread.currentThread().getName()
              + "; its owner is "
              + thread.getName());
    }
  }
}
