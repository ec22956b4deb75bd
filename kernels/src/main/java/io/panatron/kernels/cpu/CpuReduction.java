package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The sum of squares of a tensor in double: the squares of F32 neither overflow there nor lose
 * bits.
 *
 * <p>Each piece of the tensor adds into the lanes of double vectors, which are summed in the order
 * of pieces and lanes.
 */
final class CpuReduction {
  private static final VectorSpecies<Double> DOUBLES = FLOATS.withLanes(double.class);
  private static final int LANES = DOUBLES.length();

  /** As many floats, integers and halves as there are doubles in a vector. */
  private static final VectorSpecies<Float> NARROW_FLOATS =
      VectorSpecies.of(float.class, VectorShape.forBitSize(DOUBLES.vectorBitSize() / 2));

  private static final VectorSpecies<Integer> NARROW_INTS = NARROW_FLOATS.withLanes(int.class);
  private static final VectorSpecies<Short> NARROW_HALVES =
      VectorSpecies.of(short.class, VectorShape.forBitSize(DOUBLES.vectorBitSize() / 4));

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private final WorkerPool pool;

  /** The lanes of each piece's sum, kept between calls. */
  private double[] partialSums = new double[0];

  CpuReduction(WorkerPool pool) {
    this.pool = pool;
  }

  double sumOfSquares(Tensor x) {
    if (x.dtype() != DType.F32 && x.dtype() != DType.BF16) {
      throw new IllegalArgumentException("sumOfSquares: x is " + x + "; the cpu sums F32 and BF16");
    }
    boolean bf16 = x.dtype() == DType.BF16;
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
            sumPiece(bf16, segment, pieces.start(piece), pieces.length(piece), sums, piece));
    double sum = 0;
    for (int i = 0; i < lanes; i++) {
      sum += sums[i];
    }
    return sum;
  }

  private static void sumPiece(
      boolean bf16, MemorySegment x, long start, int n, double[] sums, int piece) {
    DoubleVector a = DoubleVector.zero(DOUBLES);
    DoubleVector b = a;
    DoubleVector c = a;
    DoubleVector d = a;
    int unrolled = n - n % (4 * LANES);
    for (int i = 0; i < unrolled; i += 4 * LANES) {
      DoubleVector first = load(bf16, x, start, i);
      DoubleVector second = load(bf16, x, start, i + LANES);
      DoubleVector third = load(bf16, x, start, i + 2 * LANES);
      DoubleVector fourth = load(bf16, x, start, i + 3 * LANES);
      a = first.fma(first, a);
      b = second.fma(second, b);
      c = third.fma(third, c);
      d = fourth.fma(fourth, d);
    }
    a.add(b).add(c.add(d)).intoArray(sums, piece * LANES);
    double rest = 0;
    for (int i = unrolled; i < n; i++) {
      double value = scalar(bf16, x, start + i);
      rest = Math.fma(value, value, rest);
    }
    sums[piece * LANES] += rest;
  }

  private static DoubleVector load(boolean bf16, MemorySegment x, long start, int i) {
    FloatVector floats;
    if (bf16) {
      IntVector bits =
          (IntVector)
              ShortVector.fromMemorySegment(NARROW_HALVES, x, 2 * start + 2L * i, ORDER)
                  .convertShape(VectorOperators.ZERO_EXTEND_S2I, NARROW_INTS, 0);
      floats = bits.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    } else {
      floats = FloatVector.fromMemorySegment(NARROW_FLOATS, x, 4 * start + 4L * i, ORDER);
    }
    return (DoubleVector) floats.convertShape(VectorOperators.F2D, DOUBLES, 0);
  }

  private static double scalar(boolean bf16, MemorySegment x, long index) {
    return bf16
        ? RowAccess.widen(x.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * index))
        : x.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * index);
  }
}
