package io.panatron.kernels;

/** Memory lent by a {@link MemoryScope} until the scope releases it or closes. */
public final class Buffer {
  private final MemoryScope owner;
  private final String label;
  private final long bytes;
  private final long offset;
  private MemoryPool.Block block;
  private long generation;
  private boolean evicted;
  private int references = 1;

  Buffer(MemoryScope owner, MemoryPool.Block block, String label, long offset, long bytes) {
    this.owner = owner;
    this.block = block;
    this.label = label;
    this.offset = offset;
    this.bytes = bytes;
    this.generation = block.generation();
  }

  /** Device address of the first byte. */
  public long address() {
    return memory().address() + memoryOffset();
  }

  /** Usable bytes. */
  public long bytes() {
    return bytes;
  }

  /** What the buffer is for, as its scope was told. */
  public String label() {
    return label;
  }

  public MemoryScope owner() {
    return owner;
  }

  /**
   * The device memory in which the buffer lies; backends reach their own representation through it.
   *
   * @throws IllegalStateException if the buffer was released, when memory checks are on
   */
  public DeviceMemory memory() {
    owner.checkUse(this);
    return block.region().memory();
  }

  /** Where the buffer starts in {@link #memory()}, in bytes. */
  public long memoryOffset() {
    return block.offset() + offset;
  }

  /** Whether the buffer still belongs to its scope. */
  boolean isLive() {
    return references > 0 && !evicted && block.generation() == generation;
  }

  /** Whether the memory was given back while the holders stay. */
  boolean isEvicted() {
    return evicted;
  }

  void evict() {
    evicted = true;
  }

  void restore(MemoryPool.Block other) {
    block = other;
    generation = other.generation();
    evicted = false;
  }

  MemoryPool.Block block() {
    return block;
  }

  int references() {
    return references;
  }

  void retain() {
    references++;
  }

  int drop() {
    return --references;
  }
}
