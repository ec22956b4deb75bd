package io.panatron.kernels.cpu;

import io.panatron.bindings.onednn.MatmulDescription;
import io.panatron.bindings.onednn.MatmulPrimitive;
import io.panatron.bindings.onednn.OneDnn;
import io.panatron.bindings.onednn.OneDnnStream;
import java.lang.foreign.Arena;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The compiled products of one worker, the least recently used one making room when there are
 * {@link #CAPACITY}.
 *
 * <p>All calls come from the worker's thread. oneDNN shares the machine code of equal products
 * between workers by itself, so a second worker's copy costs no compilation.
 */
final class PrimitiveCache implements AutoCloseable {
  /**
   * A model has about a dozen kinds of products (four weights, three products each), of which a
   * step meets a few token counts each. A product holds about 270 KiB.
   */
  static final int CAPACITY = 128;

  private static final long SCRATCHPAD_ALIGNMENT = 64;

  private final OneDnn oneDnn;
  private final Map<MatmulDescription, Product> products = new LinkedHashMap<>(64, 0.75f, true);
  private @Nullable OneDnnStream stream;
  private @Nullable Arena scratchpadArena;
  private long scratchpad;
  private long scratchpadBytes;

  PrimitiveCache(OneDnn oneDnn) {
    this.oneDnn = oneDnn;
  }

  int size() {
    return products.size();
  }

  /** Multiplies, compiling the product if it is not here. */
  void execute(MatmulDescription description, long a, long b, long c) {
    Product product = products.get(description);
    if (product == null) {
      product = compile(description);
    }
    product.execution.execute(a, b, c, scratchpad);
  }

  private Product compile(MatmulDescription description) {
    if (products.size() == CAPACITY) {
      var eldest = products.entrySet().iterator();
      eldest.next().getValue().close();
      eldest.remove();
    }
    OneDnnStream order = stream;
    if (order == null) {
      order = oneDnn.newStream();
      stream = order;
    }
    MatmulPrimitive primitive = oneDnn.matmul(description);
    reserveScratchpad(primitive.scratchpadBytes());
    Product product = new Product(primitive, primitive.newExecution(order));
    products.put(description, product);
    return product;
  }

  /** Grows to the largest product's need and stays there. */
  @SuppressWarnings("MustBeClosedChecker") // close() and the next growth end it
  private void reserveScratchpad(long bytes) {
    if (bytes > scratchpadBytes) {
      if (scratchpadArena != null) {
        scratchpadArena.close();
      }
      Arena arena = Arena.ofConfined();
      scratchpadArena = arena;
      scratchpad = arena.allocate(bytes, SCRATCHPAD_ALIGNMENT).address();
      scratchpadBytes = bytes;
    }
  }

  /** Closes everything; called on the worker's thread. */
  @Override
  public void close() {
    products.values().forEach(Product::close);
    products.clear();
    if (stream != null) {
      stream.close();
      stream = null;
    }
    if (scratchpadArena != null) {
      scratchpadArena.close();
      scratchpadArena = null;
      scratchpadBytes = 0;
    }
  }

  private record Product(MatmulPrimitive primitive, MatmulPrimitive.Execution execution) {
    void close() {
      execution.close();
      primitive.close();
    }
  }
}
