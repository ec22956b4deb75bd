package io.panatron.kernels.reference;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend.HeadNorm;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.ValueLayout;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Forward values worked out by hand: finite differences cannot see a constant that both passes
 * share.
 */
final class ReferenceForwardTest {
  /** Doubles of a few operations. */
  private static final Offset<Double> CLOSE = Offset.offset(1e-14);

  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
  private final MemoryScope scope = pool.scope("test", true);

  @AfterEach
  void close() {
    scope.close();
    pool.close();
    backend.close();
  }

  private Tensor empty(long... extents) {
    return scope.allocate("output", DType.F64, extents);
  }

  private Tensor tensor(double[] values, long... extents) {
    Tensor tensor = empty(extents);
    ReferenceArray.write(values, tensor);
    return tensor;
  }

  private Tensor integer(int value) {
    Tensor tensor = scope.allocate("integers", DType.I32, 1);
    HostMemory.of(tensor).set(ValueLayout.JAVA_INT, 0, value);
    return tensor;
  }

  private static double[] read(Tensor tensor) {
    return ReferenceArray.read(tensor);
  }

  @Test
  void linearAddsTheBiasToRowTimesRow() {
    Tensor y = empty(1, 2);
    Tensor x = tensor(new double[] {1, 2, 3}, 1, 3);
    Tensor weight = tensor(new double[] {1, 0, -1, 4, 5, 6}, 2, 3);
    backend.linearForward(scope, x, weight, tensor(new double[] {10, 20}, 2), y);
    assertThat(read(y)).containsExactly(8, 52);
  }

  @Test
  void rmsNormDividesByTheRootOfMeanSquarePlusEpsilon() {
    Tensor sum = empty(1, 2);
    Tensor y = empty(1, 2);
    Tensor rstd = empty(1);
    Tensor x = tensor(new double[] {1, 2}, 1, 2);
    Tensor delta = tensor(new double[] {2, 2}, 1, 2);
    // sum = (3, 4), mean square 12.5, with epsilon 16: rstd = 1 / 4
    backend.addRmsNormForward(x, delta, tensor(new double[] {1, 2}, 2), 3.5, sum, y, rstd);
    assertThat(read(sum)).containsExactly(3, 4);
    assertThat(read(rstd)).containsExactly(0.25);
    assertThat(read(y)).containsExactly(0.75, 2);
  }

  @Test
  void headsAreNormedRotatedAndSplitInTheOrderQueriesKeysValues() {
    HeadGeometry geometry = new HeadGeometry(2, 1, 2);
    // Position 1 turns by the angle of (3, 4); position 0 is not used.
    RotaryTable rotary =
        new RotaryTable(tensor(new double[] {1, 0.6}, 2, 1), tensor(new double[] {0, 0.8}, 2, 1));
    Tensor qkv = tensor(new double[] {1, 7, 5, 5, 1, 1, 8, 9}, 1, 8);
    HeadNorm norm = new HeadNorm(tensor(new double[] {1, 2}, 2), tensor(new double[] {3, 1}, 2), 0);
    Tensor q = empty(1, 2, 2);
    Tensor k = empty(1, 1, 2);
    Tensor v = empty(1, 1, 2);
    Tensor rstd = empty(1, 3);
    backend.splitHeadsForward(qkv, geometry, integer(1), rotary, norm, q, k, v, rstd);
    // rstd 1/5, 1/5, 1; normed queries (0.2, 2.8), (1, 2), key (3, 1).
    assertThat(read(rstd)).containsExactly(new double[] {0.2, 0.2, 1}, CLOSE);
    assertThat(read(q)).containsExactly(new double[] {-2.12, 1.84, -1, 2}, CLOSE);
    assertThat(read(k)).containsExactly(new double[] {1, 3}, CLOSE);
    assertThat(read(v)).containsExactly(8, 9);
  }

  @Test
  void elementsPastTheRotaryWidthPassThrough() {
    HeadGeometry geometry = new HeadGeometry(1, 1, 4);
    RotaryTable rotary =
        new RotaryTable(tensor(new double[] {0}, 1, 1), tensor(new double[] {1}, 1, 1));
    Tensor qkv = tensor(new double[] {1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0}, 1, 12);
    Tensor q = empty(1, 1, 4);
    backend.splitHeadsForward(
        qkv, geometry, integer(0), rotary, null, q, empty(1, 1, 4), empty(1, 1, 4), null);
    assertThat(read(q)).containsExactly(-2, 1, 3, 4);
  }

  @Test
  void attentionWeighsValuesByTheSoftmaxOfScaledScores() {
    Tensor q = tensor(new double[] {0, 2}, 2, 1, 1);
    Tensor k = tensor(new double[] {0, Math.log(3)}, 2, 1, 1);
    Tensor v = tensor(new double[] {8, 16}, 2, 1, 1);
    Tensor out = empty(2, 1, 1);
    Tensor log = empty(2, 1);
    AttentionLayout layout = AttentionLayout.packed(new int[] {0, 2});
    // The second query's scores are 0 and 0.5 * 2 * ln 3: weights 1/4 and 3/4.
    backend.attentionForward(scope, q, k, v, layout, 0.5, out, log);
    assertThat(read(out)).containsExactly(new double[] {8, 14}, CLOSE);
    assertThat(read(log)).containsExactly(new double[] {0, Math.log(4)}, CLOSE);
  }

  @Test
  void swigluGatesWithTheFirstHalf() {
    Tensor y = empty(1, 2);
    // sigmoid(ln 3) = 3/4
    backend.swigluForward(tensor(new double[] {Math.log(3), 0, 8, 5}, 1, 4), y);
    assertThat(read(y)).containsExactly(new double[] {6 * Math.log(3), 0}, CLOSE);
  }

  @Test
  void crossEntropyIsTheLogarithmOfTheInverseProbability() {
    Tensor losses = empty(1);
    Tensor log = empty(1);
    Tensor x = tensor(new double[] {1}, 1, 1);
    Tensor weight = tensor(new double[] {0, Math.log(2), Math.log(5)}, 3, 1);
    backend.linearCrossEntropyForward(scope, x, weight, integer(1), losses, log);
    assertThat(read(log)).containsExactly(new double[] {Math.log(8)}, CLOSE);
    assertThat(read(losses)).containsExactly(new double[] {Math.log(4)}, CLOSE);
  }

  @Test
  void embeddingCopiesRowsAndItsGradientAddsThem() {
    Tensor y = empty(1, 2);
    backend.embeddingForward(integer(1), tensor(new double[] {1, 2, 3, 4}, 2, 2), y);
    assertThat(read(y)).containsExactly(3, 4);
    Tensor dTable = tensor(new double[] {1, 1, 1, 1}, 2, 2);
    backend.embeddingBackward(scope, integer(1), y, dTable);
    assertThat(read(dTable)).containsExactly(1, 1, 4, 5);
  }

  @Test
  void elementwiseOperationsDoWhatTheySay() {
    Tensor x = tensor(new double[] {3, 4}, 2);
    assertThat(backend.sumOfSquares(x)).isEqualTo(25);
    backend.scale(x, -2);
    backend.add(tensor(new double[] {1, 1}, 2), x);
    assertThat(read(x)).containsExactly(-5, -7);
  }
}
