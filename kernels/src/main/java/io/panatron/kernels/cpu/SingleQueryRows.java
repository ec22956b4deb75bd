package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.TileRows.FLOATS;
import static io.panatron.kernels.cpu.TileRows.LANES;
import static io.panatron.kernels.cpu.TileRows.load;
import static io.panatron.kernels.cpu.TileRows.store;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/**
 * The products of single queries with keys, and of their weights with values, over F32 memory. They
 * read keys and values once and in the order in which these lie, at the speed of memory, and pack
 * nothing.
 *
 * <p>An inner product is first left as a vector of partial sums, its lanes; {@link #fold} adds up
 * the lanes of many products at a time.
 *
 * <p>Positions are counted in elements. Two queries at a time share what is loaded; the second may
 * be the first again.
 */
final class SingleQueryRows {
  /** Products that are folded together. */
  static final int GROUP = 8;

  /** Elements of a head that {@link #scores} and {@link #weigh} keep in registers. */
  static final int BLOCK = 4 * LANES;

  private static final VectorMask<Float> UPPER_4 = lanesWithBit(4);
  private static final VectorMask<Float> UPPER_2 = lanesWithBit(2);
  private static final VectorMask<Float> UPPER_1 = lanesWithBit(1);
  private static final VectorShuffle<Float> SWAP_8 = VectorShuffle.fromOp(FLOATS, i -> i ^ 8);
  private static final VectorShuffle<Float> SWAP_4 = VectorShuffle.fromOp(FLOATS, i -> i ^ 4);
  private static final VectorShuffle<Float> SWAP_2 = VectorShuffle.fromOp(FLOATS, i -> i ^ 2);
  private static final VectorShuffle<Float> SWAP_1 = VectorShuffle.fromOp(FLOATS, i -> i ^ 1);

  private SingleQueryRows() {}

  /** Whether vectors are long enough to fold {@link #GROUP} products. */
  static boolean supported() {
    return LANES >= GROUP;
  }

  private static VectorMask<Float> lanesWithBit(int bit) {
    boolean[] set = new boolean[LANES];
    for (int lane = 0; lane < LANES; lane++) {
      set[lane] = (lane & bit) != 0;
    }
    return VectorMask.fromArray(FLOATS, set, 0);
  }

  /**
   * The sums of the lanes of vectors, always added in the same order.
   *
   * @param groups how many times {@link #GROUP} vectors there are
   * @param to receives the sums, and where vectors are longer as many numbers of no meaning behind
   *     them
   */
  static void fold(float[] lanes, int from, int groups, float[] sums, int to) {
    for (int i = 0; i < groups; i++) {
      int at = from + i * (GROUP * LANES);
      FloatVector a = FloatVector.fromArray(FLOATS, lanes, at);
      FloatVector b = FloatVector.fromArray(FLOATS, lanes, at + LANES);
      FloatVector c = FloatVector.fromArray(FLOATS, lanes, at + 2 * LANES);
      FloatVector d = FloatVector.fromArray(FLOATS, lanes, at + 3 * LANES);
      FloatVector e = FloatVector.fromArray(FLOATS, lanes, at + 4 * LANES);
      FloatVector f = FloatVector.fromArray(FLOATS, lanes, at + 5 * LANES);
      FloatVector g = FloatVector.fromArray(FLOATS, lanes, at + 6 * LANES);
      FloatVector h = FloatVector.fromArray(FLOATS, lanes, at + 7 * LANES);
      // Each sum takes half the lanes of two vectors; at last lane j has the sum of vector j.
      FloatVector ae = a.blend(e, UPPER_4).add(e.blend(a, UPPER_4).rearrange(SWAP_4));
      FloatVector bf = b.blend(f, UPPER_4).add(f.blend(b, UPPER_4).rearrange(SWAP_4));
      FloatVector cg = c.blend(g, UPPER_4).add(g.blend(c, UPPER_4).rearrange(SWAP_4));
      FloatVector dh = d.blend(h, UPPER_4).add(h.blend(d, UPPER_4).rearrange(SWAP_4));
      FloatVector even = ae.blend(cg, UPPER_2).add(cg.blend(ae, UPPER_2).rearrange(SWAP_2));
      FloatVector odd = bf.blend(dh, UPPER_2).add(dh.blend(bf, UPPER_2).rearrange(SWAP_2));
      FloatVector all = even.blend(odd, UPPER_1).add(odd.blend(even, UPPER_1).rearrange(SWAP_1));
      if (LANES > GROUP) {
        all = all.add(all.rearrange(SWAP_8));
      }
      all.intoArray(sums, to + i * GROUP);
    }
  }

  /**
   * Adds the products of {@link #BLOCK} elements of {@code count} keys with those of two queries to
   * the products' lanes.
   *
   * @param stride from one key to the next
   * @param first where the block begins in the first query
   * @param second where it begins in the second, which may be the first
   * @param firstLanes the first query's products, a vector for each key
   * @param secondLanes the second query's
   */
  static void scores(
      MemorySegment keys,
      long start,
      long stride,
      int count,
      MemorySegment memory,
      long first,
      long second,
      float[] lanes,
      int firstLanes,
      int secondLanes) {
    FloatVector a = load(memory, first);
    FloatVector b = load(memory, first + LANES);
    FloatVector c = load(memory, first + 2L * LANES);
    FloatVector d = load(memory, first + 3L * LANES);
    FloatVector e = load(memory, second);
    FloatVector f = load(memory, second + LANES);
    FloatVector g = load(memory, second + 2L * LANES);
    FloatVector h = load(memory, second + 3L * LANES);
    for (int j = 0; j < count; j++) {
      long key = start + j * stride;
      FloatVector k = load(keys, key);
      FloatVector l = load(keys, key + LANES);
      FloatVector m = load(keys, key + 2L * LANES);
      FloatVector n = load(keys, key + 3L * LANES);
      int at = j * LANES;
      FloatVector one = k.fma(a, FloatVector.fromArray(FLOATS, lanes, firstLanes + at));
      FloatVector other = k.fma(e, FloatVector.fromArray(FLOATS, lanes, secondLanes + at));
      one = n.fma(d, m.fma(c, l.fma(b, one)));
      other = n.fma(h, m.fma(g, l.fma(f, other)));
      one.intoArray(lanes, firstLanes + at);
      other.intoArray(lanes, secondLanes + at);
    }
  }

  /**
   * Adds {@link #BLOCK} elements of {@code count} values, weighted, to two queries' sums.
   *
   * @param stride from one value to the next
   * @param first the first query's weights
   * @param second the second query's
   * @param firstSum where the first query's sum goes
   * @param secondSum where the second's goes
   */
  static void weigh(
      MemorySegment values,
      long start,
      long stride,
      int count,
      MemorySegment memory,
      long first,
      long second,
      long firstSum,
      long secondSum) {
    FloatVector a = load(memory, firstSum);
    FloatVector b = load(memory, firstSum + LANES);
    FloatVector c = load(memory, firstSum + 2L * LANES);
    FloatVector d = load(memory, firstSum + 3L * LANES);
    FloatVector e = load(memory, secondSum);
    FloatVector f = load(memory, secondSum + LANES);
    FloatVector g = load(memory, secondSum + 2L * LANES);
    FloatVector h = load(memory, secondSum + 3L * LANES);
    for (int j = 0; j < count; j++) {
      long value = start + j * stride;
      FloatVector p = FloatVector.broadcast(FLOATS, TileRows.get(memory, first + j));
      FloatVector q = FloatVector.broadcast(FLOATS, TileRows.get(memory, second + j));
      FloatVector k = load(values, value);
      FloatVector l = load(values, value + LANES);
      FloatVector m = load(values, value + 2L * LANES);
      FloatVector n = load(values, value + 3L * LANES);
      a = k.fma(p, a);
      b = l.fma(p, b);
      c = m.fma(p, c);
      d = n.fma(p, d);
      e = k.fma(q, e);
      f = l.fma(q, f);
      g = m.fma(q, g);
      h = n.fma(q, h);
    }
    store(a, memory, firstSum);
    store(b, memory, firstSum + LANES);
    store(c, memory, firstSum + 2L * LANES);
    store(d, memory, firstSum + 3L * LANES);
    store(e, memory, secondSum);
    store(f, memory, secondSum + LANES);
    store(g, memory, secondSum + 2L * LANES);
    store(h, memory, secondSum + 3L * LANES);
  }
}
