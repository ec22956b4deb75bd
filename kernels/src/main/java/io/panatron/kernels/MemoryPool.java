package io.panatron.kernels;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The one recycled store of device memory of a rank: regions taken from the {@link Device}, cut
 * into blocks that are filed by size class, split on demand and merged with free neighbours when
 * they return.
 *
 * <p>Segregated fit with immediate coalescing: an allocation takes the smallest class with a block
 * that fits, so that steps of varying length settle at the peak of the longest one and then take
 * nothing more from the system. One thread uses a pool.
 */
public final class MemoryPool implements AutoCloseable {
  /** Every block starts and ends on a cache-line pair; also the least block. */
  static final long ALIGNMENT = 256;

  /** Small requests share regions of this size, so that they do not each cost a system call. */
  private static final long MINIMUM_REGION = 8L << 20;

  /** Four classes for each power of two. */
  private static final int CLASSES = 64 * 4;

  private final Device device;
  private final @Nullable Block[] freeLists = new @Nullable Block[CLASSES];
  private final List<Region> regions = new ArrayList<>();
  private final MemoryListener listener;
  private long reservedBytes;
  private long usedBytes;
  private long peakUsedBytes;
  private boolean closed;

  public MemoryPool(Device device, MemoryListener listener) {
    this.device = device;
    this.listener = listener;
  }

  /** Bytes taken from the device and not given back. */
  public long reservedBytes() {
    return reservedBytes;
  }

  /** Bytes lent to scopes now, rounded to blocks. */
  public long usedBytes() {
    return usedBytes;
  }

  /** The most bytes that were lent at one time since the last {@link #resetPeak()}. */
  public long peakUsedBytes() {
    return peakUsedBytes;
  }

  public void resetPeak() {
    peakUsedBytes = usedBytes;
  }

  /** Opens a scope that takes its memory here. */
  public MemoryScope scope(String name, boolean checked) {
    return new MemoryScope(this, name, checked);
  }

  Device device() {
    return device;
  }

  boolean isClosed() {
    return closed;
  }

  Block take(long bytes) {
    if (closed) {
      throw new IllegalStateException("the memory pool is closed");
    }
    long size = Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    Block block = find(size);
    if (block == null) {
      block = newRegion(size);
    } else {
      unfile(block);
    }
    split(block, size);
    block.free = false;
    block.generation++;
    usedBytes += block.size;
    peakUsedBytes = Math.max(peakUsedBytes, usedBytes);
    return block;
  }

  void giveBack(Block returned) {
    Block block = returned;
    usedBytes -= block.size;
    block.generation++;
    if (closed) {
      return;
    }
    block.free = true;
    Block next = block.next;
    if (next != null && next.free) {
      unfile(next);
      block.absorb(next);
    }
    Block previous = block.previous;
    if (previous != null && previous.free) {
      unfile(previous);
      previous.absorb(block);
      block = previous;
    }
    file(block);
  }

  /** Gives regions that hold no live block back to the device. */
  public void trim() {
    regions.removeIf(region -> {
      Block first = region.first;
      if (!first.free || first.next != null) {
        return false;
      }
      unfile(first);
      reservedBytes -= region.memory.bytes();
      device.free(region.memory);
      return true;
    });
  }

  /** Gives all regions back to the device; scopes close before their pool. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    for (Region region : regions) {
      device.free(region.memory);
    }
    regions.clear();
    reservedBytes = 0;
  }

  private @Nullable Block find(long size) {
    for (int sizeClass = classOf(size); sizeClass < CLASSES; sizeClass++) {
      Block best = null;
      for (Block block = freeLists[sizeClass]; block != null; block = block.nextFree) {
        if (block.size >= size && (best == null || block.size < best.size)) {
          best = block;
        }
      }
      if (best != null) {
        return best;
      }
    }
    return null;
  }

  private Block newRegion(long size) {
    long bytes = Math.max(size, MINIMUM_REGION);
    DeviceMemory memory = allocate(bytes);
    reservedBytes += bytes;
    Region region = new Region(memory);
    regions.add(region);
    listener.regionAllocated(bytes, reservedBytes);
    return region.first;
  }

  private DeviceMemory allocate(long bytes) {
    try {
      return device.allocate(bytes);
    } catch (OutOfDeviceMemoryException e) {
      long before = reservedBytes;
      trim();
      if (reservedBytes == before) {
        throw e;
      }
      // Idle regions, each too small for this request, were holding the room it needs.
      return device.allocate(bytes);
    }
  }

  private void split(Block block, long size) {
    if (block.size - size < ALIGNMENT) {
      return;
    }
    Block rest = new Block(block.region, block.offset + size, block.size - size);
    rest.free = true;
    rest.previous = block;
    rest.next = block.next;
    if (rest.next != null) {
      rest.next.previous = rest;
    }
    block.next = rest;
    block.size = size;
    file(rest);
  }

  private void file(Block block) {
    int sizeClass = classOf(block.size);
    block.previousFree = null;
    block.nextFree = freeLists[sizeClass];
    if (block.nextFree != null) {
      block.nextFree.previousFree = block;
    }
    freeLists[sizeClass] = block;
  }

  private void unfile(Block block) {
    if (block.previousFree == null) {
      freeLists[classOf(block.size)] = block.nextFree;
    } else {
      block.previousFree.nextFree = block.nextFree;
    }
    if (block.nextFree != null) {
      block.nextFree.previousFree = block.previousFree;
    }
    block.nextFree = null;
    block.previousFree = null;
  }

  /** 4 floor(log2 size) plus the two bits below the leading one. */
  private static int classOf(long size) {
    int power = 63 - Long.numberOfLeadingZeros(size);
    return 4 * power + (int) ((size >>> (power - 2)) & 3);
  }

  /** Hears of memory taken from the system, for logs and JFR. */
  public interface MemoryListener {
    void regionAllocated(long bytes, long reservedBytes);
  }

  /** One piece of device memory and the chain of blocks that tile it. */
  static final class Region {
    private final DeviceMemory memory;
    private final Block first;

    Region(DeviceMemory memory) {
      this.memory = memory;
      this.first = new Block(this, 0, memory.bytes());
    }

    DeviceMemory memory() {
      return memory;
    }
  }

  /** A tile of a region: lent, or free and filed. */
  static final class Block {
    private final Region region;
    private final long offset;
    private long size;
    private boolean free;
    private long generation;
    private @Nullable Block previous;
    private @Nullable Block next;
    private @Nullable Block previousFree;
    private @Nullable Block nextFree;

    Block(Region region, long offset, long size) {
      this.region = region;
      this.offset = offset;
      this.size = size;
    }

    Region region() {
      return region;
    }

    long offset() {
      return offset;
    }

    long size() {
      return size;
    }

    /** Changes at every take and return, so that a stale buffer can be told from a live one. */
    long generation() {
      return generation;
    }

    private void absorb(Block follower) {
      size += follower.size;
      next = follower.next;
      if (next != null) {
        next.previous = this;
      }
      follower.generation++;
    }
  }
}
