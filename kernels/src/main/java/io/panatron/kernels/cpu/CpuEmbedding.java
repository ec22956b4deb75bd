package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorAccess.load;
import static io.panatron.kernels.cpu.VectorAccess.store;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * {@code y[t] = table[ids[t]]}; {@code dTable[ids[t]] += dy[t]}.
 *
 * <p><b>Shapes</b>: ids: [tokens] I32; table, dTable: [vocab, hidden]; y, dy: [tokens, hidden].
 *
 * <p><b>Errors</b>: an id outside the table throws {@link IllegalArgumentException} before anything is
 * written.
 */
final class CpuEmbedding {
  /**
   * Columns of one piece of the gradient. Pieces of columns, not of the vocabulary, since a few tokens
   * make up most of a text and would all fall to one piece.
   */
  private static final int COLUMNS = 128;

  private final WorkerPool pool;

  CpuEmbedding(WorkerPool pool) {
    this.pool = pool;
  }

  void embeddingForward(Tensor ids, Tensor table, Tensor y) {
    checkIds(ids, table);
    MemorySegment id = HostMemory.of(ids);
    MemorySegment from = HostMemory.of(table);
    MemorySegment to = HostMemory.of(y);
    long rowBytes = (long) table.shape().columns() * table.dtype().bytes();
    Pieces tokens = Pieces.ofRows(ids.elements(), table.shape().columns());
    pool.run(
        tokens.count(),
        (worker, piece) -> {
          long start = tokens.start(piece);
          for (long t = start; t < start + tokens.length(piece); t++) {
            long row = id.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * t);
            MemorySegment.copy(from, row * rowBytes, to, t * rowBytes, rowBytes);
          }
        });
  }

  /** Each row receives its tokens in their order, whatever the threads do. */
  @SuppressWarnings("unused") // scratch: the contract lends it, this kernel needs none
  void embeddingBackward(MemoryScope scratch, Tensor ids, Tensor dy, Tensor dTable) {
    checkIds(ids, dTable);
    MemorySegment id = HostMemory.of(ids);
    MemorySegment from = HostMemory.of(dy);
    MemorySegment to = HostMemory.of(dTable);
    boolean bf16 = dy.dtype() == DType.BF16;
    long elementBytes = dy.dtype().bytes();
    int hidden = dTable.shape().columns();
    long tokens = ids.elements();
    Pieces columns = new Pieces(hidden, COLUMNS);
    pool.run(
        columns.count(),
        (worker, piece) -> {
          long first = columns.start(piece);
          int n = columns.length(piece);
          for (long t = 0; t < tokens; t++) {
            long row = id.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * t);
            long fromBase = (t * hidden + first) * elementBytes;
            addRow(bf16, from, fromBase, to, (row * hidden + first) * 4, n);
          }
        });
  }

  private static void addRow(
      boolean bf16, MemorySegment from, long fromBase, MemorySegment to, long toBase, int n) {
    for (int i = 0; i < n; i += LANES) {
      store(
          false,
          load(false, to, toBase, i, n).add(load(bf16, from, fromBase, i, n)),
          to,
          toBase,
          i,
          n);
    }
  }

  private static void checkIds(Tensor ids, Tensor table) {
    MemorySegment segment = HostMemory.of(ids);
    long vocab = table.shape().extent(0);
    long tokens = ids.elements();
    for (long t = 0; t < tokens; t++) {
      int id = segment.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * t);
      if (id < 0 || id >= vocab) {
        throw new IllegalArgumentException(
            "embedding: id "
                + id
                + " of token "
                + t
                + " is outside the table's "
                + vocab
                + " rows");
      }
    }
  }
}
