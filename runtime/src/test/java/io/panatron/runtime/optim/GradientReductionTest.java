package io.panatron.runtime.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.Work;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** When buckets begin. */
class GradientReductionTest {
  private final Backend backend = Backends.reference();
  private final MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
  private final MemoryScope scope = pool.scope("test", true);
  private final List<Tensor> begun = new ArrayList<>();
  private final ParameterStore store = store();

  private ParameterStore store() {
    List<FlatLayout.Spec> specs =
        List.of(
            new FlatLayout.Spec("first", Shape.of(2, 64)),
            new FlatLayout.Spec("middle", Shape.of(2, 64)),
            new FlatLayout.Spec("last", Shape.of(2, 64)));
    return new ParameterStore(
        backend, scope, new FlatLayout(specs, 128), specs, DType.F32, DType.F32);
  }

  /** A group of two ranks that only notes what is started. */
  private Communicator group() {
    return (Communicator)
        Proxy.newProxyInstance(
            getClass().getClassLoader(),
            new Class<?>[] {Communicator.class},
            (proxy, method, arguments) ->
                switch (method.getName()) {
                  case "rank" -> 0;
                  case "size" -> 2;
                  case "startReduceScatter", "startAllReduce" -> {
                    begun.add((Tensor) arguments[0]);
                    yield Work.DONE;
                  }
                  default -> throw new UnsupportedOperationException(method.getName());
                });
  }

  private GradientReduction reduction(boolean overlapped) {
    FlatBuckets buckets = FlatBuckets.of(store.layout().elements(), 2, 128, 128);
    return new GradientReduction(group(), store, buckets, true, overlapped);
  }

  private void add(GradientReduction reduction, String... names) {
    for (String name : names) {
      reduction.added(store.parameter(name));
    }
  }

  @AfterEach
  void close() {
    scope.close();
    pool.close();
    backend.close();
  }

  @Test
  void aBucketBeginsWithTheLastPartOfItsGradients() {
    GradientReduction reduction = reduction(true);
    reduction.beginMicroBatch(false);
    // The last parameter is used twice, as a tied embedding is.
    add(reduction, "last", "last", "middle", "first");
    assertThat(begun).isEmpty();

    reduction.beginMicroBatch(true);
    add(reduction, "last");
    assertThat(begun).isEmpty();
    add(reduction, "last");
    assertThat(begun).hasSize(1);
    assertThat(begun.getFirst().address())
        .isEqualTo(store.parameter("last").trainedGradient().address());
    // Buckets keep their order, so the first parameter waits for the middle one.
    add(reduction, "first");
    assertThat(begun).hasSize(1);
    add(reduction, "middle");
    assertThat(begun).hasSize(3);
    assertThatThrownBy(() -> add(reduction, "middle"))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("middle");
    reduction.finish();
    assertThat(begun).hasSize(3);
  }

  @Test
  void theFirstMicroBatchOfAllIsOnlyCounted() {
    GradientReduction reduction = reduction(true);
    reduction.beginMicroBatch(true);
    add(reduction, "last", "middle", "first");
    assertThat(begun).isEmpty();
    reduction.finish();
    assertThat(begun).hasSize(3);
    reduction.beginMicroBatch(true);
    add(reduction, "last");
    assertThat(begun).hasSize(4);
    reduction.finish();
    assertThat(begun).hasSize(6);
  }

  @Test
  void withoutOverlapNothingBeginsBeforeTheEnd() {
    GradientReduction reduction = reduction(false);
    for (int step = 0; step < 2; step++) {
      reduction.beginMicroBatch(true);
      add(reduction, "last", "middle", "first");
      assertThat(begun).hasSize(3 * step);
      reduction.finish();
      assertThat(begun).hasSize(3 * step + 3);
    }
  }
}
