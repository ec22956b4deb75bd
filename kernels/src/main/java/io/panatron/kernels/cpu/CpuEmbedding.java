package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * {@code y[t] = table[ids[t]]}; {@code dTable[ids[t]] += dy[t]}.
 *
 * <p><b>Shapes</b>: ids: [tokens] I32; table, dTable: [vocab, hidden]; y, dy: [tokens, hidden].
 *
 * <p><b>Errors</b>: an id outside the table throws {@link IllegalArgumentException} before anything
 * is written.
 */
final class CpuEmbedding {
  /**
   * Columns of one piece of the gradient. Pieces of columns, not of the vocabulary, since a few
   * tokens make up most of a text and would all fall to one piece.
   */
  private static final int COLUMNS = 128;

  private final WorkerPool pool;
  private final RowBuffers buffers;

  CpuEmbedding(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 2);
    this.buffers.reserve(COLUMNS);
  }

  void embeddingForward(Tensor ids, Tensor table, Tensor y) {
    forward(ids, table, 0, table.shape().rows(), y);
  }

  /** See {@link io.panatron.kernels.Backend#partialEmbeddingForward}. */
  void forward(Tensor ids, Tensor table, VocabularyPart part, Tensor y) {
    forward(ids, table, part.firstRow(), part.size(), y);
  }

  /**
   * @param firstRow of the table in a vocabulary of {@code size}
   */
  private void forward(Tensor ids, Tensor table, int firstRow, int size, Tensor y) {
    checkIds(ids, size);
    int held = table.shape().rows();
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
            int row = id.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * t) - firstRow;
            if (row >= 0 && row < held) {
              MemorySegment.copy(from, row * rowBytes, to, t * rowBytes, rowBytes);
            } else {
              to.asSlice(t * rowBytes, rowBytes).fill((byte) 0);
            }
          }
        });
  }

  /** Each row receives its tokens in their order, whatever the threads do. */
  @SuppressWarnings("unused") // scratch: the contract lends it, this kernel needs none
  void embeddingBackward(MemoryScope scratch, Tensor ids, Tensor dy, Tensor dTable) {
    backward(ids, dy, 0, dTable.shape().rows(), dTable);
  }

  /** See {@link io.panatron.kernels.Backend#partialEmbeddingBackward}. */
  void backward(Tensor ids, Tensor dy, VocabularyPart part, Tensor dTable) {
    backward(ids, dy, part.firstRow(), part.size(), dTable);
  }

  private void backward(Tensor ids, Tensor dy, int firstRow, int size, Tensor dTable) {
    checkIds(ids, size);
    int held = dTable.shape().rows();
    MemorySegment id = HostMemory.of(ids);
    MemorySegment from = HostMemory.of(dy);
    MemorySegment to = HostMemory.of(dTable);
    DType dtype = dy.dtype();
    long elementBytes = dtype.bytes();
    int hidden = dTable.shape().columns();
    long tokens = ids.elements();
    Pieces columns = new Pieces(hidden, COLUMNS);
    pool.run(
        columns.count(),
        (worker, piece) -> {
          long first = columns.start(piece);
          int n = columns.length(piece);
          float[] added = buffers.row(worker, 0);
          float[] sums = buffers.row(worker, 1);
          for (long t = 0; t < tokens; t++) {
            int row = id.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * t) - firstRow;
            if (row < 0 || row >= held) {
              continue;
            }
            long fromBase = (t * hidden + first) * elementBytes;
            long toBase = ((long) row * hidden + first) * 4;
            read(dtype, from, fromBase, added, n);
            read(DType.F32, to, toBase, sums, n);
            NormRows.add(added, sums, n);
            write(DType.F32, sums, to, toBase, n);
          }
        });
  }

  private static void checkIds(Tensor ids, int vocab) {
    MemorySegment segment = HostMemory.of(ids);
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
