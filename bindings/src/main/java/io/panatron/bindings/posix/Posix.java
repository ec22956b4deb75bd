package io.panatron.bindings.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** The C library's process calls. */
public final class Posix {
  private Posix() {}

  /**
   * Replaces the program that this process runs by another one: {@code execv}.
   *
   * <p>The process keeps its number, its parent, its terminal, its standard streams, its working
   * folder and its environment; exit status and signals belong to the new program. No Java code
   * runs after the call, shutdown hooks included, so call it before anything was opened.
   *
   * @param program path of the executable file
   * @param arguments the new program's arguments from {@code argv[0]} on, in the bytes that the
   *     program gets, without the closing zero
   * @throws IOException if the system refuses; the call does not return otherwise
   */
  public static void replaceProgram(Path program, List<byte[]> arguments) throws IOException {
    Linker linker = Linker.nativeLinker();
    Linker.Option errno = Linker.Option.captureCallState("errno");
    MethodHandle execv =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("execv"),
            FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS),
            errno);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment argv = arena.allocate(ADDRESS, arguments.size() + 1L);
      for (int i = 0; i < arguments.size(); i++) {
        argv.setAtIndex(ADDRESS, i, terminated(arguments.get(i), arena));
      }
      MemorySegment path = terminated(program.toString().getBytes(StandardCharsets.UTF_8), arena);
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      call(execv, state, path, argv);
      int error =
          state.get(
              JAVA_INT,
              Linker.Option.captureStateLayout()
                  .byteOffset(MemoryLayout.PathElement.groupElement("errno")));
      throw new IOException(
          "execv(" + program + ") with " + arguments.size() + " arguments failed: errno " + error);
    }
  }

  private static MemorySegment terminated(byte[] text, Arena arena) {
    MemorySegment segment = arena.allocate(text.length + 1L);
    MemorySegment.copy(text, 0, segment, ValueLayout.JAVA_BYTE, 0, text.length);
    return segment;
  }

  private static void call(
      MethodHandle execv, MemorySegment state, MemorySegment path, MemorySegment argv) {
    try {
      int _ = (int) execv.invokeExact(state, path, argv);
    } catch (Throwable e) {
      throw new AssertionError("execv is called with arguments of another type", e);
    }
  }
}
