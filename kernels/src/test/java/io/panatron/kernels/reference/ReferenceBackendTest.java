package io.panatron.kernels.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The refusals that all backends share, seen through the reference. */
final class ReferenceBackendTest {
  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
  private final MemoryScope scope = pool.scope("test", true);

  @AfterEach
  void close() {
    scope.close();
    pool.close();
    backend.close();
  }

  private Tensor f32(long... extents) {
    return scope.allocate("x", DType.F32, extents);
  }

  private static void refused(ThrowingCallable call, String... words) {
    assertThatThrownBy(call)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll(words);
  }

  @Test
  void computesInEveryFloatingDtype() {
    assertThat(List.of(DType.values()).stream().filter(backend::computesIn))
        .containsExactly(DType.F64, DType.F32, DType.BF16, DType.F16);
    Tensor integers = scope.allocate("x", DType.I32, 2, 3);
    refused(
        () -> backend.linearForward(scope, integers, integers, null, f32(2, 2)),
        "linearForward",
        "I32[2, 3]");
  }

  @Test
  void wrongShapesAreNamedWithTheOperationAndWhatWasExpected() {
    refused(
        () -> backend.linearForward(scope, f32(2, 3), f32(4, 5), null, f32(2, 4)),
        "linearForward",
        "weight is F32[4, 5]",
        "F32[4, 3]");
    refused(
        () -> backend.linearForward(scope, f32(2, 3), f32(4, 3), f32(5), f32(2, 4)),
        "bias is F32[5]",
        "F32[4]");
    refused(() -> backend.swigluForward(f32(2, 5), f32(2, 2)), "swigluForward", "odd");
    refused(() -> backend.add(f32(3), f32(4)), "add", "F32[3]", "F32[4]");
  }

  @Test
  void wrongDtypesAreNamed() {
    Tensor f64 = scope.allocate("x", DType.F64, 2, 4);
    refused(() -> backend.linearForward(scope, f32(2, 3), f32(4, 3), null, f64), "y is F64[2, 4]");
    refused(() -> backend.fill(scope.allocate("i", DType.I32, 1), 0), "fill", "I32[1]");
  }

  @Test
  void sumAndDeltaOfTheNormComeTogether() {
    refused(
        () ->
            backend.addRmsNormForward(f32(2, 3), f32(2, 3), f32(3), 1e-5, null, f32(2, 3), f32(2)),
        "addRmsNormForward",
        "both or neither");
  }

  @Test
  void layoutsMustFitTheTensors() {
    Tensor q = f32(4, 2, 4);
    Tensor k = f32(4, 1, 4);
    refused(
        () ->
            backend.attentionForward(
                scope,
                q,
                k,
                k,
                AttentionLayout.packed(new int[] {0, 3}),
                1,
                f32(4, 2, 4),
                f32(4, 2)),
        "attentionForward",
        "0 to 3",
        "F32[4, 2, 4]");
    refused(
        () ->
            backend.attentionForward(
                scope,
                q,
                k,
                k,
                new AttentionLayout(new int[] {0, 4}, new int[] {1}, new int[] {4}),
                1,
                f32(4, 2, 4),
                f32(4, 2)),
        "keys 1 to 5");
  }

  @Test
  void theGradientOfAttentionNeedsAsManyKeysAsQueries() {
    Tensor q = f32(1, 1, 4);
    Tensor k = f32(3, 1, 4);
    AttentionLayout decode = new AttentionLayout(new int[] {0, 1}, new int[] {0}, new int[] {3});
    refused(
        () ->
            backend.attentionBackward(
                scope, q, k, k, q, f32(1, 1), q, decode, 1, q, f32(3, 1, 4), f32(3, 1, 4)),
        "1 queries and 3 keys");
  }
}
