package io.panatron.runtime.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A cache of one layer with a window and one without, whose keys are the numbers of tokens. */
class KeyValueCacheTest {
  private static final int SLOTS = 3;
  private static final HeadGeometry HEADS = new HeadGeometry(1, 1, 2);

  private final Backend backend = Backends.reference();
  private final MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
  private final MemoryScope scope = pool.scope("cache", true);

  /** What each slot holds. */
  private final List<List<Double>> expected = new ArrayList<>();

  private double next = 1;

  @AfterEach
  void close() {
    scope.close();
    pool.close();
    backend.close();
  }

  private KeyValueCache cache(int window, int capacity) {
    for (int slot = 0; slot < SLOTS; slot++) {
      expected.add(new ArrayList<>());
    }
    int[] windows = {window, AttentionLayout.NO_WINDOW};
    return new KeyValueCache(scope, windows, SLOTS, capacity, HEADS, DType.F64);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 8, 40})
  void queriesFindTheKeysThatTheirWindowReaches(int window) {
    KeyValueCache cache = cache(window, 24);
    Random random = new Random(window);
    for (int step = 0; step < 300; step++) {
      int slot = random.nextInt(SLOTS);
      int length = random.nextInt(cache.length(slot) + 1);
      int other = random.nextInt(SLOTS);
      if (step % 17 == 0 && cache.holds(slot, length)) {
        cache.truncate(slot, length);
        expected.set(slot, new ArrayList<>(expected.get(slot).subList(0, length)));
      } else if (step % 19 == 0 && other != slot && cache.holds(slot, length)) {
        cache.copy(backend, slot, other, length);
        expected.set(other, new ArrayList<>(expected.get(slot).subList(0, length)));
      }
      if (cache.length(slot) > 150) {
        cache.truncate(slot, 0);
        expected.get(slot).clear();
      }
      int[] slots = random.nextBoolean() ? new int[] {slot} : new int[] {2, 0};
      step(cache, window, slots, random);
    }
  }

  /** Appends one token, or sometimes many, to each of some slots. */
  private void step(KeyValueCache cache, int window, int[] slots, Random random) {
    int[] counts = new int[slots.length];
    int longest = 0;
    List<Double> fresh = new ArrayList<>();
    for (int i = 0; i < slots.length; i++) {
      counts[i] = random.nextInt(5) == 0 ? 1 + random.nextInt(30) : 1;
      longest = Math.max(longest, cache.length(slots[i]) + counts[i]);
      for (int token = 0; token < counts[i]; token++) {
        expected.get(slots[i]).add(next);
        fresh.add(next++);
      }
    }
    if (longest > cache.capacity()) {
      cache.grow(backend, longest + 8);
    }
    AttentionLayout all = cache.plan(slots, counts);
    try (MemoryScope stepScope = pool.scope("step", true)) {
      Tape tape = Tape.inference(backend, stepScope);
      double[] rows = fresh.stream().flatMapToDouble(v -> DoubleStream.of(v, -v)).toArray();
      Tensor values =
          HostTransfer.upload(backend.device(), stepScope, "new", rows, DType.F64)
              .reshape(fresh.size(), 1, 2);
      for (int layer = 0; layer < 2; layer++) {
        KeyValueCache.View view = cache.append(tape, layer, values, values, all);
        for (Tensor seen : List.of(view.keys(), view.values())) {
          double[] found = HostTransfer.download(backend.device(), seen);
          for (int i = 0; i < slots.length; i++) {
            int length = view.layout().keyLength(i);
            int total = expected.get(slots[i]).size();
            if (layer == 1) {
              assertThat(length).isEqualTo(total);
            } else {
              assertThat(length).isBetween(Math.min(total, window - 1 + counts[i]), total);
            }
            List<Double> last = expected.get(slots[i]).subList(total - length, total);
            int first = view.layout().keyStart(i);
            assertThat(IntStream.range(first, first + length).mapToObj(row -> found[2 * row]))
                .isEqualTo(last);
          }
          tape.release(seen);
        }
      }
    }
    cache.commit();
    for (int slot : slots) {
      assertThat(cache.length(slot)).isEqualTo(expected.get(slot).size());
    }
  }

  @Test
  void aLayerWithAWindowTakesMemoryForTwiceTheWindow() {
    KeyValueCache cache = cache(5, 1000);
    AttentionLayout all = cache.plan(new int[] {1}, new int[] {1});
    try (MemoryScope step = pool.scope("step", true)) {
      Tape tape = Tape.inference(backend, step);
      Tensor one =
          HostTransfer.upload(backend.device(), step, "new", new double[] {1, 2}, DType.F64)
              .reshape(1, 1, 2);
      KeyValueCache.View windowed = cache.append(tape, 0, one, one, all);
      KeyValueCache.View full = cache.append(tape, 1, one, one, all);
      assertThat(windowed.keys().shape().extent(0)).isEqualTo(2L * 5 * SLOTS);
      assertThat(full.keys().shape().extent(0)).isEqualTo(1000L * SLOTS);
      for (KeyValueCache.View view : List.of(windowed, full)) {
        tape.release(view.keys());
        tape.release(view.values());
      }
    }
  }

  @Test
  void whatAWindowForgotCannotBeGoneBackTo() {
    KeyValueCache cache = cache(2, 100);
    Random steps = new Random(1);
    while (cache.length(0) < 40) {
      step(cache, 2, new int[] {0}, steps);
    }
    assertThat(cache.holds(0, 0)).isTrue();
    assertThat(cache.holds(0, cache.length(0))).isTrue();
    assertThat(cache.holds(0, 10)).isFalse();
    assertThatThrownBy(() -> cache.truncate(0, 10)).hasMessageContaining("cannot keep 10");
    assertThatThrownBy(() -> cache.copy(backend, 0, 1, 10)).hasMessageContaining("cannot keep 10");
  }
}
