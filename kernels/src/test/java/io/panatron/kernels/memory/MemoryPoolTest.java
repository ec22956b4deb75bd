package io.panatron.kernels.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.DeviceMemory;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.OutOfDeviceMemoryException;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostDevice;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class MemoryPoolTest {
  private static final long MEBIBYTE = 1 << 20;

  private final List<Long> regions = new ArrayList<>();
  private final MemoryPool pool =
      new MemoryPool(new HostDevice("test"), (bytes, reserved) -> regions.add(bytes));

  @AfterEach
  void close() {
    pool.close();
  }

  private static Tensor bytes(MemoryScope scope, long bytes) {
    return scope.allocate("block", DType.BF16, bytes / 2);
  }

  @Test
  void smallRequestsShareOneRegion() {
    MemoryScope scope = pool.scope("run", false);
    for (int i = 0; i < 100; i++) {
      bytes(scope, 10_000);
    }
    assertThat(regions).hasSize(1);
    assertThat(pool.reservedBytes()).isEqualTo(regions.getFirst());
  }

  @Test
  void blocksNeverOverlapAndStartAligned() {
    MemoryScope scope = pool.scope("run", false);
    List<Tensor> tensors = new ArrayList<>();
    for (long size : new long[] {2, 256, 258, 1000, 4096, 9 * MEBIBYTE, 2}) {
      tensors.add(bytes(scope, size));
    }
    tensors.sort((a, b) -> Long.compare(a.address(), b.address()));
    for (int i = 0; i < tensors.size(); i++) {
      assertThat(tensors.get(i).address() % 256).isZero();
      if (i > 0) {
        assertThat(tensors.get(i).address())
            .isGreaterThanOrEqualTo(tensors.get(i - 1).address() + tensors.get(i - 1).bytes());
      }
    }
  }

  @Test
  void neighboursMergeInWhicheverOrderTheyReturn() {
    int[][] orders = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int[] order : orders) {
      try (MemoryScope scope = pool.scope("step", false)) {
        // Three thirds of a region, which only merged can hold the whole of it again.
        Tensor[] parts = new Tensor[3];
        for (int i = 0; i < 3; i++) {
          parts[i] = bytes(scope, 3 * MEBIBYTE - 512);
        }
        for (int i : order) {
          scope.release(parts[i]);
        }
        bytes(scope, regions.getFirst());
      }
    }
    assertThat(regions).hasSize(2);
  }

  @Test
  void aReleasedBlockIsSplitForSmallerRequests() {
    try (MemoryScope scope = pool.scope("step", false)) {
      Tensor large = bytes(scope, 8 * MEBIBYTE);
      long address = large.address();
      scope.release(large);
      Tensor first = bytes(scope, 3 * MEBIBYTE);
      Tensor second = bytes(scope, 5 * MEBIBYTE);
      assertThat(first.address()).isEqualTo(address);
      assertThat(second.address()).isEqualTo(address + 3 * MEBIBYTE);
      assertThat(regions).hasSize(1);
    }
  }

  @Test
  void usedBytesAndPeakFollowWhatIsLent() {
    try (MemoryScope scope = pool.scope("step", false)) {
      Tensor a = bytes(scope, 1024);
      Tensor b = bytes(scope, 300);
      assertThat(pool.usedBytes()).isEqualTo(1024 + 512);
      scope.release(a);
      assertThat(pool.usedBytes()).isEqualTo(512);
      assertThat(pool.peakUsedBytes()).isEqualTo(1536);
      pool.resetPeak();
      assertThat(pool.peakUsedBytes()).isEqualTo(512);
      scope.release(b);
    }
    assertThat(pool.usedBytes()).isZero();
  }

  @Test
  void trimGivesBackIdleRegionsOnly() {
    try (MemoryScope scope = pool.scope("step", false)) {
      Tensor kept = bytes(scope, 9 * MEBIBYTE);
      scope.release(bytes(scope, 20 * MEBIBYTE));
      pool.trim();
      assertThat(pool.reservedBytes()).isEqualTo(9 * MEBIBYTE);
      assertThat(kept.buffer().owner()).isSameAs(scope);
    }
    pool.trim();
    assertThat(pool.reservedBytes()).isZero();
    try (MemoryScope scope = pool.scope("step", false)) {
      assertThat(bytes(scope, 4096).address()).isNotZero();
    }
  }

  @Test
  void aClosedPoolLendsNothing() {
    MemoryScope scope = pool.scope("late", false);
    pool.close();
    assertThatThrownBy(() -> bytes(scope, 2))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }

  @Test
  void aScopeThatClosesAfterItsPoolDoesNothing() {
    MemoryScope scope = pool.scope("late", true);
    bytes(scope, 2);
    pool.close();
    scope.close();
    assertThat(scope.liveBuffers()).isZero();
  }

  @Property(tries = 20)
  void oneThousandRoundsOfAnyLengthsTakeNothingMoreThanTheLongest(
      @ForAll @LongRange(min = 0, max = 1L << 40) long seed) {
    Random random = new Random(seed);
    List<Long> taken = new ArrayList<>();
    try (MemoryPool recycled =
        new MemoryPool(new HostDevice("test"), (bytes, reserved) -> taken.add(bytes))) {
      step(recycled, 1024, new Random(seed));
      int afterLongest = taken.size();
      for (int round = 0; round < 1000; round++) {
        step(recycled, 1 + random.nextInt(1024), random);
      }
      assertThat(taken).as("regions").hasSize(afterLongest);
      assertThat(recycled.usedBytes()).isZero();
    }
  }

  /** Memory as a training step uses it: kept activations, temporaries, release in reverse. */
  private static void step(MemoryPool pool, int tokens, Random random) {
    try (MemoryScope scope = pool.scope("step", false)) {
      List<Tensor> saved = new ArrayList<>();
      for (int layer = 0; layer < 4; layer++) {
        Tensor fused = scope.allocate("qkv", DType.BF16, tokens, 768);
        saved.add(scope.allocate("q", DType.BF16, tokens, 512));
        saved.add(scope.allocate("kv", DType.BF16, tokens, 256));
        scope.release(fused);
        Tensor scratch = scope.allocate("tile", DType.F32, 1 + random.nextInt(tokens), 128);
        saved.add(scope.allocate("gateUp", DType.BF16, tokens, 3072));
        scope.release(scratch);
      }
      for (int i = saved.size() - 1; i >= 0; i--) {
        Tensor gradient = scope.allocate("gradient", DType.BF16, saved.get(i).shape());
        scope.release(saved.get(i));
        scope.release(gradient);
      }
    }
  }

  @Test
  void randomUseNeverLendsAByteTwice() {
    Random random = new Random(7);
    Map<Tensor, Integer> marks = new HashMap<>();
    List<Tensor> live = new ArrayList<>();
    try (MemoryScope scope = pool.scope("mix", false)) {
      for (int round = 0; round < 5000; round++) {
        if (live.isEmpty() || random.nextInt(5) < 3) {
          Tensor tensor = bytes(scope, 2L * (1 + random.nextInt(200_000)));
          live.add(tensor);
          marks.put(tensor, round);
          Marks.write(tensor, round);
        }
        if (live.size() > 40 || random.nextInt(5) < 2) {
          Tensor tensor = live.remove(random.nextInt(live.size()));
          assertThat(Marks.holds(tensor, Objects.requireNonNull(marks.remove(tensor)))).isTrue();
          scope.release(tensor);
        }
      }
    }
    assertThat(pool.usedBytes()).isZero();
    long reserved = pool.reservedBytes();
    pool.trim();
    assertThat(pool.reservedBytes()).as("all of %s merged into whole regions", reserved).isZero();
  }

  @Test
  void aFullDeviceIsAskedAgainAfterIdleRegionsWereReturned() {
    CappedDevice device = new CappedDevice(24 * MEBIBYTE);
    try (MemoryPool capped = new MemoryPool(device, (bytes, reserved) -> {})) {
      try (MemoryScope scope = capped.scope("step", false)) {
        scope.release(bytes(scope, 10 * MEBIBYTE));
        assertThat(bytes(scope, 20 * MEBIBYTE).bytes()).isEqualTo(20 * MEBIBYTE);
        assertThat(capped.reservedBytes()).isEqualTo(20 * MEBIBYTE);
        assertThatThrownBy(() -> bytes(scope, 20 * MEBIBYTE))
            .isInstanceOf(OutOfDeviceMemoryException.class);
        assertThat(capped.usedBytes()).isEqualTo(20 * MEBIBYTE);
      }
    }
    assertThat(device.taken).isZero();
  }

  /** A host with little memory. */
  private static final class CappedDevice implements Device {
    private final HostDevice host = new HostDevice("capped");
    private final long capacity;
    private long taken;

    CappedDevice(long capacity) {
      this.capacity = capacity;
    }

    @Override
    public String describe() {
      return host.describe();
    }

    @Override
    public DeviceMemory allocate(long bytes) {
      if (taken + bytes > capacity) {
        throw new OutOfDeviceMemoryException("full", new IllegalStateException());
      }
      taken += bytes;
      return host.allocate(bytes);
    }

    @Override
    public void free(DeviceMemory memory) {
      taken -= memory.bytes();
      host.free(memory);
    }

    @Override
    public void upload(MemorySegment from, Tensor to) {
      host.upload(from, to);
    }

    @Override
    public void download(Tensor from, MemorySegment to) {
      host.download(from, to);
    }

    @Override
    public void close() {
      host.close();
    }
  }
}
