package io.panatron.bindings;

import io.panatron.bindings.onednn.ElementType;
import io.panatron.bindings.onednn.MatmulDescription;
import io.panatron.bindings.onednn.MatmulPrimitive;
import io.panatron.bindings.onednn.Matrix;
import io.panatron.bindings.onednn.OneDnn;
import io.panatron.bindings.onednn.OneDnnStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * A process that loads oneDNN, multiplies once, and prints the product and the libraries it has
 * mapped. Without an argument the cache folder is what the environment says.
 */
final class LoadProbe {
  private LoadProbe() {}

  public static void main(String[] arguments) throws IOException {
    Path cache =
        arguments.length > 0 ? Path.of(arguments[0]) : NativeLibraries.cacheFolder(System.getenv());
    try (OneDnn oneDnn = OneDnn.open(cache)) {
      System.out.println("product " + product(oneDnn));
    } catch (NativeLibraryException e) {
      System.out.println("refused " + e.getMessage());
      return;
    }
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      maps.map(line -> line.replaceFirst("^[^/\\[]*", ""))
          .filter(path -> path.contains(".so"))
          .distinct()
          .forEach(path -> System.out.println("mapped " + path));
    }
  }

  private static float product(OneDnn oneDnn) {
    oneDnn.useThreads(2);
    Matrix one = Matrix.of(ElementType.F32, 1, 1);
    try (Arena arena = Arena.ofConfined();
        OneDnnStream stream = oneDnn.newStream();
        MatmulPrimitive matmul = oneDnn.matmul(MatmulDescription.of(one, one, one));
        MatmulPrimitive.Execution execution = matmul.newExecution(stream)) {
      MemorySegment abc = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 6f, 7f, 0f);
      long scratchpad = arena.allocate(Math.max(1, matmul.scratchpadBytes()), 64).address();
      execution.execute(abc.address(), abc.address() + 4, abc.address() + 8, scratchpad);
      return abc.getAtIndex(ValueLayout.JAVA_FLOAT, 2);
    }
  }
}
