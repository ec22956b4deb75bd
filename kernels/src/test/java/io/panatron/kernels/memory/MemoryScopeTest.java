package io.panatron.kernels.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.panatron.kernels.DType;
import io.panatron.kernels.DeviceMemory;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostDevice;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class MemoryScopeTest {
  private final HostDevice device = new HostDevice("test");
  private final MemoryPool pool = new MemoryPool(device, (bytes, reserved) -> {});

  @AfterEach
  void close() {
    pool.close();
  }

  /** A tensor of the buffer's memory that reaches outside the buffer, as a stray pointer would. */
  @SuppressWarnings("restricted")
  private static MemorySegment around(Tensor tensor, long before, long after) {
    MemorySegment inside = HostMemory.of(tensor);
    return MemorySegment.ofAddress(inside.address() - before)
        .reinterpret(before + inside.byteSize() + after);
  }

  @Test
  void closingReturnsEverything() {
    MemoryScope scope = pool.scope("step", false);
    scope.allocate("a", DType.F32, 3, 5);
    scope.allocate("b", DType.BF16, 7);
    assertThat(scope.liveBuffers()).isEqualTo(2);
    assertThat(scope.currentBytes()).isEqualTo(512);
    scope.close();
    scope.close();
    assertThat(scope.liveBuffers()).isZero();
    assertThat(scope.currentBytes()).isZero();
    assertThat(scope.peakBytes()).isEqualTo(512);
    assertThat(pool.usedBytes()).isZero();
  }

  @Test
  void scopesOfOnePoolCloseInAnyOrder() {
    MemoryScope first = pool.scope("first", true);
    MemoryScope second = pool.scope("second", true);
    Tensor kept = second.allocate("kept", DType.F32, 100);
    first.allocate("gone", DType.F32, 100);
    first.close();
    Marks.write(kept, 5);
    pool.scope("third", true).allocate("new", DType.F32, 100);
    assertThat(Marks.holds(kept, 5)).isTrue();
    second.close();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void evictedMemoryIsOthersUntilItIsRestored(boolean checked) {
    MemoryScope scope = pool.scope("step", checked);
    Tensor tensor = scope.allocate("output", DType.F32, 100);
    long address = tensor.address();
    long bytes = scope.currentBytes();
    scope.evict(tensor);
    assertThat(scope.currentBytes()).isZero();
    Tensor other = scope.allocate("other", DType.F32, 100);
    assertThat(other.address()).isEqualTo(address);
    Marks.write(other, 4);
    scope.restore(tensor);
    assertThat(scope.currentBytes()).isEqualTo(2 * bytes);
    assertThat(scope.peakBytes()).isEqualTo(2 * bytes);
    Marks.write(tensor, 7);
    assertThat(Marks.holds(other, 4)).isTrue();
    assertThat(Marks.holds(tensor, 7)).isTrue();
    scope.release(tensor);
    scope.release(other);
    assertThat(scope.currentBytes()).isZero();
    scope.close();
  }

  @Test
  void evictedMemoryMayBeReleasedOrClosedAsItIs() {
    MemoryScope scope = pool.scope("step", true);
    Tensor released = scope.allocate("released", DType.F32, 100);
    scope.evict(released);
    scope.release(released);
    assertThat(scope.liveBuffers()).isZero();
    scope.evict(scope.allocate("left", DType.F32, 100));
    scope.allocate("kept", DType.F32, 100);
    scope.close();
    assertThat(pool.usedBytes()).isZero();
  }

  @Test
  void whatCannotBeEvictedOrRestoredIsRefused() {
    MemoryScope scope = pool.scope("step", true);
    Tensor tensor = scope.allocate("saved", DType.F32, 4);
    assertThatThrownBy(() -> scope.restore(tensor)).hasMessageContaining("was not evicted");
    scope.retain(tensor);
    assertThatThrownBy(() -> scope.evict(tensor))
        .hasMessageContaining("cannot evict saved: it has 2 holders");
    scope.release(tensor);
    scope.evict(tensor);
    assertThatThrownBy(() -> scope.evict(tensor)).hasMessageContaining("twice");
    assertThatThrownBy(tensor::address)
        .hasMessageContaining("use of saved of scope step after its release");
    scope.release(tensor);
    assertThatThrownBy(() -> scope.restore(tensor)).hasMessageContaining("does not hold it");
    scope.close();
  }

  @Test
  void memoryReturnsWithTheLastReference() {
    MemoryScope scope = pool.scope("step", true);
    Tensor tensor = scope.allocate("saved", DType.F32, 4);
    scope.retain(tensor);
    assertThat(scope.references(tensor)).isEqualTo(2);
    scope.release(tensor);
    Marks.write(tensor, 1);
    assertThat(scope.liveBuffers()).isEqualTo(1);
    scope.release(tensor.reshape(2, 2));
    assertThat(scope.liveBuffers()).isZero();
    assertThat(pool.usedBytes()).isZero();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void releasingTwiceIsRefusedByName(boolean checked) {
    MemoryScope scope = pool.scope("step", checked);
    Tensor tensor = scope.allocate("hidden", DType.F32, 4);
    scope.release(tensor);
    assertThatThrownBy(() -> scope.release(tensor))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContainingAll("release", "hidden", "step");
    assertThatThrownBy(() -> scope.retain(tensor)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aTensorOfAnotherScopeIsRefused() {
    MemoryScope mine = pool.scope("mine", false);
    Tensor theirs = pool.scope("theirs", false).allocate("x", DType.F32, 1);
    assertThatThrownBy(() -> mine.release(theirs))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("mine does not hold it");
  }

  @Test
  void aClosedScopeAllocatesNothing() {
    MemoryScope scope = pool.scope("step", false);
    scope.close();
    assertThatThrownBy(() -> scope.allocate("late", DType.F32, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContainingAll("step", "late");
  }

  @ParameterizedTest
  @EnumSource(DType.class)
  void freshCheckedMemoryIsNaNInEveryFloatingTypeAndNoTokenId(DType dtype) {
    try (MemoryScope scope = pool.scope("step", true)) {
      for (long count : new long[] {1, 3, 1001, 70_000}) {
        MemorySegment fresh = HostMemory.of(scope.allocate("fresh", dtype, count));
        for (long i = 0; i < count; i++) {
          boolean bad =
              switch (dtype) {
                case F64 -> Double.isNaN(fresh.getAtIndex(ValueLayout.JAVA_DOUBLE, i));
                case F32 -> Float.isNaN(fresh.getAtIndex(ValueLayout.JAVA_FLOAT, i));
                case BF16 ->
                    Float.isNaN(
                        Float.intBitsToFloat(fresh.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16));
                case F16 ->
                    Float.isNaN(Float.float16ToFloat(fresh.getAtIndex(ValueLayout.JAVA_SHORT, i)));
                case F8_E4M3 -> (fresh.get(ValueLayout.JAVA_BYTE, i) & 0x7E) == 0x7E;
                case I16 -> fresh.getAtIndex(ValueLayout.JAVA_SHORT, i) != 0;
                case I32 -> fresh.getAtIndex(ValueLayout.JAVA_INT, i) < 0;
              };
          assertThat(bad).as("element %s of %s", i, count).isTrue();
        }
      }
    }
  }

  @Test
  void useAfterReleaseIsRefusedByName() {
    MemoryScope scope = pool.scope("step", true);
    Tensor tensor = scope.allocate("hidden", DType.F32, 4);
    scope.release(tensor);
    assertThatThrownBy(() -> HostMemory.of(tensor))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContainingAll("hidden", "step", "after its release");
    scope.allocate("successor", DType.F32, 4);
    assertThatThrownBy(tensor::address).hasMessageContaining("hidden");
  }

  @Test
  void useAfterCloseIsRefused() {
    MemoryScope scope = pool.scope("step", true);
    Tensor tensor = scope.allocate("hidden", DType.F32, 4);
    scope.close();
    pool.scope("next", true).allocate("successor", DType.F32, 4);
    assertThatThrownBy(() -> HostMemory.of(tensor)).hasMessageContaining("hidden");
  }

  @Test
  void aWriteBeforeTheBufferIsFoundAtRelease() {
    MemoryScope scope = pool.scope("step", true);
    Tensor tensor = scope.allocate("hidden", DType.BF16, 5);
    around(tensor, 1, 0).set(ValueLayout.JAVA_BYTE, 0, (byte) 0);
    assertThatThrownBy(() -> scope.release(tensor))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContainingAll("before hidden", "byte -1");
  }

  @Test
  void aWriteBehindTheBufferIsFoundWhateverItsLength() {
    for (int count : new int[] {1, 2, 5, 127, 128, 129}) {
      MemoryScope scope = pool.scope("step", true);
      Tensor tensor = scope.allocate("hidden", DType.BF16, count);
      MemorySegment reach = around(tensor, 0, 256);
      long at = tensor.bytes() + 7;
      reach.set(ValueLayout.JAVA_BYTE, at, (byte) (reach.get(ValueLayout.JAVA_BYTE, at) ^ 1));
      assertThatThrownBy(() -> scope.release(tensor))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContainingAll("after hidden", "byte " + at);
      assertThat(pool.usedBytes()).as("bytes lent after the overrun was told").isZero();
    }
  }

  @Test
  void writesInsideTheBufferAreFine() {
    MemoryScope scope = pool.scope("step", true);
    for (int count : new int[] {1, 2, 3, 127, 129}) {
      Tensor tensor = scope.allocate("hidden", DType.BF16, count);
      Marks.write(tensor, 0);
    }
    scope.close();
    assertThat(pool.usedBytes()).isZero();
  }

  @Test
  void closingTellsAllOverrunsAndStillReturnsEverything() {
    MemoryScope scope = pool.scope("step", true);
    Tensor first = scope.allocate("first", DType.F32, 1);
    scope.allocate("innocent", DType.F32, 1);
    Tensor second = scope.allocate("second", DType.F32, 1);
    around(first, 1, 0).set(ValueLayout.JAVA_BYTE, 0, (byte) 0);
    around(second, 1, 0).set(ValueLayout.JAVA_BYTE, 0, (byte) 0);
    Throwable thrown = catchThrowable(scope::close);
    assertThat(thrown).isInstanceOf(IllegalStateException.class).hasMessageContaining("first");
    assertThat(thrown.getSuppressed()).hasSize(1);
    assertThat(thrown.getSuppressed()[0]).hasMessageContaining("second");
    assertThat(pool.usedBytes()).isZero();
    assertThat(scope.liveBuffers()).isZero();
  }

  @Test
  void anotherThreadIsRefusedByName() throws InterruptedException {
    MemoryScope scope = pool.scope("step", true);
    Tensor tensor = scope.allocate("hidden", DType.F32, 4);
    assertRefused(() -> scope.allocate("x", DType.F32, 1));
    assertRefused(() -> scope.release(tensor));
    assertRefused(() -> scope.retain(tensor));
    assertRefused(scope::close);
    assertThat(scope.references(tensor)).isEqualTo(1);
  }

  private static void assertRefused(Runnable action) throws InterruptedException {
    AtomicReference<@Nullable Throwable> thrown = new AtomicReference<>();
    Thread stranger = new Thread(() -> thrown.set(catchThrowable(action::run)), "stranger");
    stranger.start();
    stranger.join();
    assertThat(thrown.get())
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContainingAll("step", "stranger");
  }

  @Test
  void viewsStayInsideTheirBuffer() {
    Tensor tensor = pool.scope("step", false).allocate("x", DType.F32, 4, 3);
    assertThat(tensor.slice(1, 2).offset()).isEqualTo(12);
    assertThat(tensor.slice(4, 0).elements()).isZero();
    assertThatThrownBy(() -> tensor.slice(2, 3)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> tensor.reshape(5, 3)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Tensor(tensor.buffer(), 4, Shape.of(12), DType.F32))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void emptyTensorsAreAllowed() {
    try (MemoryScope scope = pool.scope("step", true)) {
      Tensor empty = scope.allocate("none", DType.F32, 0, 7);
      assertThat(HostMemory.of(empty).byteSize()).isZero();
      assertThat(scope.currentBytes()).isPositive();
    }
  }

  @Test
  void hostMemoryRefusesReadsPastATensor() {
    Tensor tensor = pool.scope("step", false).allocate("x", DType.F32, 3);
    MemorySegment segment = HostMemory.of(tensor);
    assertThatThrownBy(() -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, 3))
        .isInstanceOf(IndexOutOfBoundsException.class);
    DeviceMemory memory = tensor.buffer().memory();
    assertThat(memory.bytes()).isGreaterThan(12);
  }
}
