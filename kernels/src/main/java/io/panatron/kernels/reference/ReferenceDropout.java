package io.panatron.kernels.reference;

import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.Tensor;

/**
 * Dropout one element at a time: {@code y = x factor} where an element is kept, else 0.
 *
 * <p>Threefry follows the definition in Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3", section 4.2, on 32-bit words; its constants are those of Skein-256 and of the published
 * library Random123.
 */
final class ReferenceDropout {
  private static final int ROUNDS = 13;
  private static final int PARITY = 0x1BD11BDA;
  private static final int[][] ROTATIONS = {
    {10, 26}, {11, 21}, {13, 27}, {23, 5}, {6, 20}, {17, 11}, {25, 10}, {18, 20}
  };

  private ReferenceDropout() {}

  static void dropout(Tensor x, DropoutMask mask, Tensor y) {
    double[] values = ReferenceArray.read(x);
    int columns = x.shape().columns();
    for (int i = 0; i < values.length; i++) {
      values[i] *= factor(mask, i / columns, 0, i % columns);
    }
    ReferenceArray.write(values, y);
  }

  /** What an element is multiplied by. */
  static double factor(DropoutMask mask, int row, int head, int column) {
    int inBlock = column % DropoutMask.BLOCK;
    int[] key = {(int) mask.seed(), (int) (mask.seed() >>> 32), mask.step(), mask.microBatch()};
    int[] counter = {
      column / DropoutMask.BLOCK * DropoutMask.COUNTERS + inBlock % DropoutMask.COUNTERS,
      mask.firstRow() + row,
      mask.firstHead() + head,
      mask.site()
    };
    int word = threefry(ROUNDS, counter, key)[inBlock / DropoutMask.COUNTERS];
    return Integer.compareUnsigned(word, mask.threshold()) < 0 ? 0 : mask.factor();
  }

  /** The four words of Threefry-4x32. */
  static int[] threefry(int rounds, int[] counter, int[] key) {
    int[] schedule = {key[0], key[1], key[2], key[3], PARITY ^ key[0] ^ key[1] ^ key[2] ^ key[3]};
    int[] x = new int[4];
    for (int i = 0; i < 4; i++) {
      x[i] = counter[i] + schedule[i];
    }
    for (int round = 0; round < rounds; round++) {
      int[] rotations = ROTATIONS[round % 8];
      boolean even = round % 2 == 0;
      mix(x, 0, even ? 1 : 3, rotations[0]);
      mix(x, 2, even ? 3 : 1, rotations[1]);
      if (round % 4 == 3) {
        int injection = round / 4 + 1;
        for (int i = 0; i < 4; i++) {
          x[i] += schedule[(injection + i) % 5];
        }
        x[3] += injection;
      }
    }
    return x;
  }

  private static void mix(int[] x, int sum, int turned, int rotation) {
    x[sum] += x[turned];
    x[turned] = Integer.rotateLeft(x[turned], rotation) ^ x[sum];
  }
}
