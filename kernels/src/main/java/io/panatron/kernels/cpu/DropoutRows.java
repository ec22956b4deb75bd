package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.INTS;
import static io.panatron.kernels.cpu.VectorMath.LANES;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.ROL;
import static jdk.incubator.vector.VectorOperators.XOR;

import io.panatron.kernels.DropoutMask;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * What dropout multiplies the elements of a row by: 0 or the mask's factor.
 *
 * <p>Each vector lane runs Threefry on a counter of its own; the four words go to four places of a
 * block, 16 columns apart.
 */
final class DropoutRows {
  private static final int PARITY = 0x1BD11BDA;

  private DropoutRows() {}

  /** Room that {@link #factors} needs for a row's columns {@code first .. first + count - 1}. */
  static int room(int count) {
    return (count + 2 * DropoutMask.BLOCK - 1) / DropoutMask.BLOCK * DropoutMask.BLOCK;
  }

  /**
   * Writes the factors of some columns of a row, and of those before and after that share their
   * blocks.
   *
   * @param row in the rank's own numbering, as is {@code head}
   * @return where in {@code to} the factor of column {@code first} is
   */
  static int factors(DropoutMask mask, int row, int head, int first, int count, float[] to) {
    int offset = first % DropoutMask.BLOCK;
    words(
        (int) mask.seed(),
        (int) (mask.seed() >>> 32),
        mask.step(),
        mask.microBatch(),
        first / DropoutMask.BLOCK * DropoutMask.COUNTERS,
        mask.firstRow() + row,
        mask.firstHead() + head,
        mask.site(),
        mask.threshold() ^ Integer.MIN_VALUE,
        (float) mask.factor(),
        TileSizes.count(offset + count, DropoutMask.BLOCK),
        to);
    return offset;
  }

  /**
   * The factors of whole blocks. The rounds stand here one by one, since vectors that pass through
   * a method or around a loop may go to the heap.
   *
   * @param least the threshold with its sign bit turned: signed comparisons take the place of
   *     unsigned ones
   */
  private static void words(
      int key0,
      int key1,
      int key2,
      int key3,
      int counter,
      int row,
      int head,
      int site,
      int least,
      float factor,
      int blocks,
      float[] to) {
    int key4 = PARITY ^ key0 ^ key1 ^ key2 ^ key3;
    IntVector lanes = IntVector.zero(INTS).addIndex(1);
    FloatVector dropped = FloatVector.zero(FLOATS);
    int vectors = blocks * DropoutMask.COUNTERS / LANES;
    for (int i = 0; i < vectors; i++) {
      int start = i * LANES;
      IntVector x0 = lanes.add(counter + start + key0);
      IntVector x1 = IntVector.broadcast(INTS, row + key1);
      IntVector x2 = IntVector.broadcast(INTS, head + key2);
      IntVector x3 = IntVector.broadcast(INTS, site + key3);
      x0 = x0.add(x1);
      x1 = x1.lanewise(ROL, 10).lanewise(XOR, x0);
      x2 = x2.add(x3);
      x3 = x3.lanewise(ROL, 26).lanewise(XOR, x2);
      x0 = x0.add(x3);
      x3 = x3.lanewise(ROL, 11).lanewise(XOR, x0);
      x2 = x2.add(x1);
      x1 = x1.lanewise(ROL, 21).lanewise(XOR, x2);
      x0 = x0.add(x1);
      x1 = x1.lanewise(ROL, 13).lanewise(XOR, x0);
      x2 = x2.add(x3);
      x3 = x3.lanewise(ROL, 27).lanewise(XOR, x2);
      x0 = x0.add(x3);
      x3 = x3.lanewise(ROL, 23).lanewise(XOR, x0);
      x2 = x2.add(x1);
      x1 = x1.lanewise(ROL, 5).lanewise(XOR, x2);
      x0 = x0.add(key1);
      x1 = x1.add(key2);
      x2 = x2.add(key3);
      x3 = x3.add(key4 + 1);
      x0 = x0.add(x1);
      x1 = x1.lanewise(ROL, 6).lanewise(XOR, x0);
      x2 = x2.add(x3);
      x3 = x3.lanewise(ROL, 20).lanewise(XOR, x2);
      x0 = x0.add(x3);
      x3 = x3.lanewise(ROL, 17).lanewise(XOR, x0);
      x2 = x2.add(x1);
      x1 = x1.lanewise(ROL, 11).lanewise(XOR, x2);
      x0 = x0.add(x1);
      x1 = x1.lanewise(ROL, 25).lanewise(XOR, x0);
      x2 = x2.add(x3);
      x3 = x3.lanewise(ROL, 10).lanewise(XOR, x2);
      x0 = x0.add(x3);
      x3 = x3.lanewise(ROL, 18).lanewise(XOR, x0);
      x2 = x2.add(x1);
      x1 = x1.lanewise(ROL, 20).lanewise(XOR, x2);
      x0 = x0.add(key2);
      x1 = x1.add(key3);
      x2 = x2.add(key4);
      x3 = x3.add(key0 + 2);
      x0 = x0.add(x1);
      x1 = x1.lanewise(ROL, 10).lanewise(XOR, x0);
      x2 = x2.add(x3);
      x3 = x3.lanewise(ROL, 26).lanewise(XOR, x2);
      x0 = x0.add(x3);
      x3 = x3.lanewise(ROL, 11).lanewise(XOR, x0);
      x2 = x2.add(x1);
      x1 = x1.lanewise(ROL, 21).lanewise(XOR, x2);
      x0 = x0.add(x1);
      x1 = x1.lanewise(ROL, 13).lanewise(XOR, x0);
      x2 = x2.add(x3);
      x3 = x3.lanewise(ROL, 27).lanewise(XOR, x2);
      x0 = x0.add(x3);
      x3 = x3.lanewise(ROL, 23).lanewise(XOR, x0);
      x2 = x2.add(x1);
      x1 = x1.lanewise(ROL, 5).lanewise(XOR, x2);
      x0 = x0.add(key3);
      x1 = x1.add(key4);
      x2 = x2.add(key0);
      x3 = x3.add(key1 + 3);
      x0 = x0.add(x1);
      x1 = x1.lanewise(ROL, 6).lanewise(XOR, x0);
      x2 = x2.add(x3);
      x3 = x3.lanewise(ROL, 20).lanewise(XOR, x2);
      int at = start / DropoutMask.COUNTERS * DropoutMask.BLOCK + start % DropoutMask.COUNTERS;
      dropped
          .blend(factor, x0.lanewise(XOR, Integer.MIN_VALUE).compare(GE, least).cast(FLOATS))
          .intoArray(to, at);
      dropped
          .blend(factor, x1.lanewise(XOR, Integer.MIN_VALUE).compare(GE, least).cast(FLOATS))
          .intoArray(to, at + DropoutMask.COUNTERS);
      dropped
          .blend(factor, x2.lanewise(XOR, Integer.MIN_VALUE).compare(GE, least).cast(FLOATS))
          .intoArray(to, at + 2 * DropoutMask.COUNTERS);
      dropped
          .blend(factor, x3.lanewise(XOR, Integer.MIN_VALUE).compare(GE, least).cast(FLOATS))
          .intoArray(to, at + 3 * DropoutMask.COUNTERS);
    }
  }
}
