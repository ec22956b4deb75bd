package io.panatron.tests.communication;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.GroupMembers;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.tests.parity.BackendUnderTest;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * One rank of a run of the suite: its place, the groups it opens, and numbers that every rank can
 * compute of every other.
 */
record RankUnderTest(
    int rank, int size, Function<GroupMembers, Communicator> groups, BackendUnderTest memory) {

  /** All ranks, in order. */
  Communicator world() {
    return group("world", IntStream.range(0, size).boxed().toList());
  }

  Communicator group(String name, List<Integer> members) {
    return groups.apply(new GroupMembers(name, members));
  }

  /** What a rank's tensor of {@code n} elements holds at the start, rounded to its dtype. */
  double[] values(DType dtype, int ofRank, long seed, int n) {
    Random random = new Random(seed * 1_000 + ofRank);
    double[] values = new double[n];
    for (int i = 0; i < n; i++) {
      values[i] = dtype == DType.I16 ? random.nextInt(1000) : random.nextDouble() * 4 - 2;
    }
    return rounded(dtype, values);
  }

  /** This rank's tensor of {@link #values}. */
  Tensor tensor(DType dtype, long seed, int n) {
    return memory.tensor(dtype, values(dtype, rank, seed, n), n);
  }

  private double[] rounded(DType dtype, double[] values) {
    Tensor tensor = memory.tensor(dtype, values, values.length);
    double[] result = memory.read(tensor);
    memory.scope().release(tensor);
    return result;
  }

  /**
   * The reduction of some ranks' values in their order, as the contract wants its bits: F64 summed
   * in double, all others in float and rounded once.
   */
  double[] reduced(DType dtype, List<Integer> ranks, long seed, int n, Reduction reduction) {
    double[] result = values(dtype, ranks.getFirst(), seed, n);
    for (int other : ranks.subList(1, ranks.size())) {
      double[] addend = values(dtype, other, seed, n);
      for (int i = 0; i < n; i++) {
        result[i] =
            switch (reduction) {
              case MAX -> Math.max(result[i], addend[i]);
              case SUM ->
                  dtype == DType.F64
                      ? result[i] + addend[i]
                      : (double) ((float) result[i] + (float) addend[i]);
            };
      }
    }
    return rounded(dtype, result);
  }

  double[] read(Tensor tensor) {
    return memory.read(tensor);
  }
}
