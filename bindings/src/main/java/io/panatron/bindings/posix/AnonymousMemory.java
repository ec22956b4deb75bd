package io.panatron.bindings.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Memory straight from the kernel: {@code mmap} of anonymous pages, which arrive zeroed when first
 * touched, in huge pages where the system has them.
 *
 * <p>Source: Linux, mmap(2) and madvise(2).
 */
public final class AnonymousMemory {
  private static final int PROT_READ_WRITE = 1 | 2;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x02 | 0x20;
  private static final int MADV_HUGEPAGE = 14;
  private static final long MAP_FAILED = -1;

  /** Below a huge page the advice is pointless. */
  private static final long HUGE_PAGE = 2L << 20;

  private final MethodHandle mmap;
  private final MethodHandle munmap;
  private final MethodHandle madvise;

  /** Looks the calls up in the C library. */
  public AnonymousMemory() {
    Linker linker = Linker.nativeLinker();
    mmap =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("mmap"),
            FunctionDescriptor.of(
                ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    munmap =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("munmap"),
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
    madvise =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("madvise"),
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
  }

  /**
   * Maps {@code bytes} zero bytes that live until the arena closes.
   *
   * @throws OutOfMemoryError if the system refuses
   */
  public MemorySegment map(long bytes, Arena arena) {
    MemorySegment raw;
    try {
      raw =
          (MemorySegment)
              mmap.invokeExact(
                  MemorySegment.NULL, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
    } catch (Throwable e) {
      throw wrongTypes("mmap", e);
    }
    if (raw.address() == MAP_FAILED) {
      throw new OutOfMemoryError("mmap of " + bytes + " bytes failed");
    }
    if (bytes >= HUGE_PAGE) {
      adviseHugePages(raw, bytes);
    }
    return raw.reinterpret(bytes, arena, mapped -> unmap(mapped.address(), bytes));
  }

  /** Only advice: a kernel built without huge pages refuses, and ordinary pages serve as well. */
  private void adviseHugePages(MemorySegment start, long bytes) {
    try {
      int _ = (int) madvise.invokeExact(start, bytes, MADV_HUGEPAGE);
    } catch (Throwable e) {
      throw wrongTypes("madvise", e);
    }
  }

  private void unmap(long address, long bytes) {
    int status;
    try {
      status = (int) munmap.invokeExact(MemorySegment.ofAddress(address), bytes);
    } catch (Throwable e) {
      throw wrongTypes("munmap", e);
    }
    if (status != 0) {
      throw new IllegalStateException(
          "munmap(0x%x, %d) failed: the mapping was not ours".formatted(address, bytes));
    }
  }

  private static AssertionError wrongTypes(String call, Throwable cause) {
    return new AssertionError(call + " is called with arguments of another type", cause);
  }
}
