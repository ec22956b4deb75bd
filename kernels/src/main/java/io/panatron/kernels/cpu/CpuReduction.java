package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The sum of squares of a tensor in double: the squares of F32 neither overflow there nor lose
 * bits.
 *
 * <p>Each piece of the tensor adds into the lanes of a double vector, which are summed in the order
 * of pieces and lanes.
 */
final class CpuReduction {
  private static final VectorSpecies<Double> DOUBLES = FLOATS.withLanes(double.class);

  /** Lanes of a sum. */
  static final int LANES = DOUBLES.length();

  /** As many floats as there are doubles in a vector. */
  private static final VectorSpecies<Float> NARROW_FLOATS =
      VectorSpecies.of(float.class, VectorShape.forBitSize(DOUBLES.vectorBitSize() / 2));

  private final WorkerPool pool;
  private final RowBuffers buffers;

  /** The lanes of each piece's sum, kept between calls. */
  private double[] partialSums = new double[0];

  CpuReduction(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 1);
    this.buffers.reserve(RowBuffers.STRETCH);
  }

  double sumOfSquares(Tensor x) {
    if (!RowAccess.reads(x.dtype())) {
      throw new IllegalArgumentException(
          "sumOfSquares: x is " + x + "; the cpu sums F32, BF16 and F16");
    }
    MemorySegment segment = HostMemory.of(x);
    Pieces pieces = Pieces.ofElements(x.elements());
    int lanes = pieces.count() * LANES;
    if (partialSums.length < lanes) {
      partialSums = new double[lanes];
    }
    double[] sums = partialSums;
    pool.run(
        pieces.count(),
        (worker, piece) ->
            sumPiece(x.dtype(), segment, pieces, piece, buffers.row(worker, 0), sums));
    double sum = 0;
    for (int i = 0; i < lanes; i++) {
      sum += sums[i];
    }
    return sum;
  }

  private static void sumPiece(
      DType dtype, MemorySegment x, Pieces pieces, int piece, float[] row, double[] sums) {
    int lanes = piece * LANES;
    for (int i = 0; i < LANES; i++) {
      sums[lanes + i] = 0;
    }
    int length = pieces.length(piece);
    for (int first = 0; first < length; first += RowBuffers.STRETCH) {
      int count = Math.min(RowBuffers.STRETCH, length - first);
      long offset = dtype.bytes() * (pieces.start(piece) + first);
      RowAccess.read(dtype, x, offset, row, count);
      addSquares(row, count, sums, lanes);
    }
  }

  /** Adds the squares of {@code n} elements and of the zeros behind them to the lanes of a sum. */
  static void addSquares(float[] x, int n, double[] sums, int lanes) {
    DoubleVector even = DoubleVector.fromArray(DOUBLES, sums, lanes);
    DoubleVector odd = DoubleVector.zero(DOUBLES);
    // A float vector holds two double vectors' worth, so the padding to one suffices.
    for (int i = 0; i < n; i += 2 * LANES) {
      DoubleVector a =
          (DoubleVector)
              FloatVector.fromArray(NARROW_FLOATS, x, i)
                  .convertShape(VectorOperators.F2D, DOUBLES, 0);
      DoubleVector b =
          (DoubleVector)
              FloatVector.fromArray(NARROW_FLOATS, x, i + LANES)
                  .convertShape(VectorOperators.F2D, DOUBLES, 0);
      even = a.fma(a, even);
      odd = b.fma(b, odd);
    }
    even.add(odd).intoArray(sums, lanes);
  }
}
