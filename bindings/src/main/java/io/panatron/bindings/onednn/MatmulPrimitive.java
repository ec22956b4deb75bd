package io.panatron.bindings.onednn;

import io.panatron.bindings.onednn.generated.OneDnnC;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A compiled matrix multiplication, usable by any thread through an {@link Execution} of its own.
 *
 * <p><b>Cost</b> of making one: about 0.7 ms where the library compiles, 0.05 ms where it has
 * compiled an equal one before. A thread that multiplies the same shape again keeps its execution.
 */
public final class MatmulPrimitive implements AutoCloseable {
  private final MemorySegment engine;
  private final MatmulDescription description;
  private final int threads;
  private final long repeats;
  private final NativeHandles handles;
  private final MemorySegment[] layouts; // A, B, C, scratchpad; the last NULL where none is needed
  private final MemorySegment primitive;
  private final String implementation;
  private final AtomicInteger users = new AtomicInteger();
  private boolean open = true;

  private MatmulPrimitive(
      MemorySegment engine, MatmulDescription description, int threads, NativeHandles handles) {
    this.engine = engine;
    this.description = description;
    this.threads = threads;
    this.handles = handles;
    // oneDNN 3.13 misreads a batch of strided right factors of one row (mended by its pull request
    // 6015), so such batches run matrix by matrix.
    repeats = description.a().columns() == 1 ? description.c().batch() : 1;
    boolean batched = description.c().batch() > repeats;
    MemorySegment a = handles.memoryDescription(description.a(), batched, false);
    MemorySegment b = handles.memoryDescription(description.b(), batched, description.packedB());
    MemorySegment c = handles.memoryDescription(description.c(), batched, false);
    MemorySegment plan = MatmulPlan.create(engine, description, handles, a, b, c);
    primitive =
        handles.create(
            "dnnl_primitive_create",
            description,
            out -> OneDnnC.dnnl_primitive_create(out, plan),
            "dnnl_primitive_destroy",
            OneDnnC::dnnl_primitive_destroy);
    MemorySegment chosenB =
        OneDnnC.dnnl_primitive_desc_query_md(plan, OneDnnC.dnnl_query_weights_md(), 0);
    MemorySegment scratchpad =
        OneDnnC.dnnl_primitive_desc_query_md(plan, OneDnnC.dnnl_query_scratchpad_md(), 0);
    layouts = new MemorySegment[] {a, chosenB, c, scratchpad};
    implementation = MatmulPlan.implementation(plan, description);
  }

  static MatmulPrimitive create(MemorySegment engine, MatmulDescription description, int threads) {
    NativeHandles handles = new NativeHandles();
    try {
      return new MatmulPrimitive(engine, description, threads, handles);
    } catch (RuntimeException e) {
      handles.close();
      throw e;
    }
  }

  /** What it multiplies. */
  public MatmulDescription description() {
    return description;
  }

  /** oneDNN's name of the kernel it chose, such as "brg_matmul:avx512_core". */
  public String implementation() {
    return implementation;
  }

  /**
   * Bytes of temporary memory that each execution needs, 0 for none. Aligned to 64 bytes it is
   * fastest.
   */
  public long scratchpadBytes() {
    return bytes(3);
  }

  /** Bytes of the packed B; those of the plain one where B is not packed. */
  public long packedBytes() {
    return bytes(1);
  }

  private long bytes(int index) {
    requireOpen();
    MemorySegment layout = layouts[index];
    return layout.address() == 0 ? 0 : OneDnnC.dnnl_memory_desc_get_size(layout);
  }

  /** Makes an execution for the calling thread, which also has to close it. */
  public Execution newExecution(OneDnnStream stream) {
    requireOpen();
    int current = OneDnnC.omp_get_max_threads();
    if (current != threads) {
      throw new IllegalStateException(
          ("the multiplication %s was planned for %d OpenMP threads and this thread uses %d;"
                  + " call useThreads(%d) first")
              .formatted(description, threads, current, threads));
    }
    NativeHandles owned = new NativeHandles();
    try {
      return new Execution(this, stream, owned);
    } catch (RuntimeException e) {
      owned.close();
      throw e;
    }
  }

  /** Makes what packs B, for the calling thread, which also has to close it. */
  public Packing newPacking(OneDnnStream stream) {
    requireOpen();
    if (!description.packedB()) {
      throw new IllegalStateException(
          "the multiplication %s takes B unpacked".formatted(description));
    }
    NativeHandles owned = new NativeHandles();
    try {
      return new Packing(this, stream, owned);
    } catch (RuntimeException e) {
      owned.close();
      throw e;
    }
  }

  private void requireOpen() {
    if (!open) {
      throw new IllegalStateException("the multiplication %s is closed".formatted(description));
    }
  }

  /**
   * Destroys the primitive.
   *
   * @throws IllegalStateException while an execution or packing of it is open
   */
  @Override
  public void close() {
    int left = users.get();
    if (left > 0) {
      throw new IllegalStateException(
          "the multiplication %s still has %d open executions".formatted(description, left));
    }
    open = false;
    handles.close();
  }

  /** One thread's hold on a multiplication. Executing takes nothing from the heap. */
  public static final class Execution implements AutoCloseable {
    private final MatmulPrimitive matmul;
    private final OneDnnStream stream;
    private final NativeHandles handles;
    private final Arguments arguments;
    private final boolean hasScratchpad;
    private boolean open = true;

    private Execution(MatmulPrimitive matmul, OneDnnStream stream, NativeHandles handles) {
      this.handles = handles;
      this.matmul = matmul;
      this.stream = stream;
      hasScratchpad = matmul.scratchpadBytes() > 0;
      int[] roles = {
        OneDnnC.DNNL_ARG_SRC(),
        OneDnnC.DNNL_ARG_WEIGHTS(),
        OneDnnC.DNNL_ARG_DST(),
        OneDnnC.DNNL_ARG_SCRATCHPAD()
      };
      int count = hasScratchpad ? 4 : 3;
      MemorySegment[] memories = new MemorySegment[count];
      for (int i = 0; i < count; i++) {
        memories[i] = handles.memory(matmul.layouts[i], matmul.engine);
      }
      arguments = new Arguments(roles, memories);
      matmul.users.incrementAndGet();
    }

    /**
     * Multiplies, and returns when C is written. The caller answers for addresses: nothing is
     * checked here.
     *
     * @param a address of A's first element
     * @param b address of B's, or of the packed B
     * @param c address of C's
     * @param scratchpad address of {@link MatmulPrimitive#scratchpadBytes} bytes that no other
     *     thread uses meanwhile; ignored where none are needed
     */
    public void execute(long a, long b, long c, long scratchpad) {
      if (!open) {
        throw new IllegalStateException("the execution is closed");
      }
      if (hasScratchpad) {
        arguments.address(3, scratchpad);
      }
      for (long i = 0; i < matmul.repeats; i++) {
        arguments.address(0, a + i * matmul.description.a().batchBytes());
        arguments.address(1, b + i * matmul.description.b().batchBytes());
        arguments.address(2, c + i * matmul.description.c().batchBytes());
        arguments.execute(matmul.primitive, stream, matmul.description);
      }
    }

    @Override
    public void close() {
      if (open) {
        arguments.close(); // first: it refuses a thread that is not the owner
        open = false;
        handles.close();
        matmul.users.decrementAndGet();
      }
    }
  }

  /**
   * One thread's means to bring B into the order that a multiplication with {@link
   * MatmulDescription#packedB} reads. Costs about as much as copying B twice. The packed order is
   * that primitive's own: another shape, type or thread count may want another one.
   */
  public static final class Packing implements AutoCloseable {
    private final MatmulPrimitive matmul;
    private final OneDnnStream stream;
    private final NativeHandles handles;
    private final Arguments arguments;
    private final MemorySegment reorder;
    private boolean open = true;

    private Packing(MatmulPrimitive matmul, OneDnnStream stream, NativeHandles handles) {
      this.handles = handles;
      this.matmul = matmul;
      this.stream = stream;
      boolean batched = matmul.description.c().batch() > matmul.repeats;
      MemorySegment plain = handles.memoryDescription(matmul.description.b(), batched, false);
      MemorySegment packed = matmul.layouts[1];
      MemorySegment engine = matmul.engine;
      MemorySegment plan =
          handles.create(
              "dnnl_reorder_primitive_desc_create",
              matmul.description,
              out ->
                  OneDnnC.dnnl_reorder_primitive_desc_create(
                      out, plain, engine, packed, engine, MemorySegment.NULL),
              "dnnl_primitive_desc_destroy",
              OneDnnC::dnnl_primitive_desc_destroy);
      reorder =
          handles.create(
              "dnnl_primitive_create",
              matmul.description,
              out -> OneDnnC.dnnl_primitive_create(out, plan),
              "dnnl_primitive_destroy",
              OneDnnC::dnnl_primitive_destroy);
      arguments =
          new Arguments(
              new int[] {OneDnnC.DNNL_ARG_FROM(), OneDnnC.DNNL_ARG_TO()},
              new MemorySegment[] {handles.memory(plain, engine), handles.memory(packed, engine)});
      matmul.users.incrementAndGet();
    }

    /**
     * Packs.
     *
     * @param b address of B as described
     * @param packed address of {@link MatmulPrimitive#packedBytes} bytes, best aligned to 64 bytes
     */
    public void pack(long b, long packed) {
      if (!open) {
        throw new IllegalStateException("the packing is closed");
      }
      arguments.address(0, b);
      arguments.address(1, packed);
      arguments.execute(reorder, stream, matmul.description);
    }

    @Override
    public void close() {
      if (open) {
        arguments.close(); // first: it refuses a thread that is not the owner
        open = false;
        handles.close();
        matmul.users.decrementAndGet();
      }
    }
  }
}
