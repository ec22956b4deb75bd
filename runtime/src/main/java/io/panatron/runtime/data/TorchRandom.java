package io.panatron.runtime.data;

/**
 * PyTorch's CPU generator: the Mersenne Twister MT19937 and {@code torch.randperm} on it, bit for
 * bit, so that the order of samples equals Megatron's.
 *
 * <p>Source: Matsumoto and Nishimura (1998); ATen's {@code MT19937RNGEngine.h} and {@code
 * TensorFactories.cpp} (randperm_cpu) for seeding and use. Not safe for use by several threads.
 */
public final class TorchRandom {
  /** From here on torch draws 64-bit numbers, which no data set needs. */
  public static final int MAX_PERMUTATION = (int) (0xffffffffL / 20) - 1;

  private static final int N = 624;
  private static final int M = 397;

  private final int[] state = new int[N];
  private int index = N;

  /** {@code torch.Generator().manual_seed(seed)}; only the low 32 bits count, as in torch. */
  public TorchRandom(long seed) {
    state[0] = (int) seed;
    for (int i = 1; i < N; i++) {
      state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
  }

  /** The next 32 random bits, as an unsigned number. */
  long next() {
    if (index == N) {
      twist();
    }
    int y = state[index++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y & 0xffffffffL;
  }

  private void twist() {
    for (int i = 0; i < N; i++) {
      int y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
      state[i] = state[(i + M) % N] ^ (y >>> 1) ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
    }
    index = 0;
  }

  /** {@code torch.randperm(n, generator=self)}: the numbers 0 to n-1 in random order. */
  public int[] permutation(int n) {
    if (n < 0 || n > MAX_PERMUTATION) {
      throw new IllegalArgumentException(
          "a permutation of " + n + " numbers is outside 0.." + MAX_PERMUTATION);
    }
    int[] p = new int[n];
    for (int i = 0; i < n; i++) {
      p[i] = i;
    }
    for (int i = 0; i < n - 1; i++) {
      int j = i + (int) (next() % (n - i));
      int swapped = p[i];
      p[i] = p[j];
      p[j] = swapped;
    }
    return p;
  }
}
