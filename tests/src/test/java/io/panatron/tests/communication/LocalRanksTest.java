package io.panatron.tests.communication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.CommunicationException;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Network;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.Work;
import io.panatron.kernels.backends.Networks;
import io.panatron.runtime.UserError;
import io.panatron.runtime.parallel.LocalRanks;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.tensor.HostTransfer;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Ranks as threads: their groups, and how they end. */
class LocalRanksTest {
  private static final Duration LONG = Duration.ofSeconds(60);

  private static <T> List<T> run(
      ParallelSizes sizes, Duration timeout, LocalRanks.RankFunction<T> function) {
    Network network = Networks.local(sizes.world(), new Network.Settings(timeout, false));
    return new LocalRanks(sizes, network, new LocalEngine.ReferenceDevices(), LONG).run(function);
  }

  private static <T> List<T> run(int size, LocalRanks.RankFunction<T> function) {
    return run(ParallelSizes.ofWorld(size).build(), LONG, function);
  }

  /** Ranks of a group, as its members find out by exchanging their numbers. */
  private static String members(RankContext rank, Communicator group) {
    try (MemoryScope scope = rank.memory().scope("test", true)) {
      Tensor all = scope.allocate("all", DType.F64, group.size());
      Tensor own = scope.allocate("own", DType.F64, 1);
      rank.backend().fill(own, rank.rank());
      group.allGather(own, all);
      StringBuilder text = new StringBuilder();
      for (double member : HostTransfer.download(rank.backend().device(), all)) {
        text.append((int) member).append(' ');
      }
      return text.toString().strip();
    }
  }

  /** The example of Megatron-Core's parallel_state.py, with 16 ranks, tp 2 and pp 4. */
  @Test
  void groupsAreThoseOfMegatron() {
    ParallelSizes sizes = ParallelSizes.ofWorld(16).tensor(2).pipeline(4).build();
    List<List<String>> groups =
        run(
            sizes,
            LONG,
            rank ->
                List.of(
                    members(rank, rank.groups().tensor()),
                    members(rank, rank.groups().data()),
                    members(rank, rank.groups().dataContext()),
                    members(rank, rank.groups().pipeline()),
                    members(rank, rank.groups().model()),
                    members(rank, rank.groups().embedding()),
                    members(rank, rank.groups().context())));
    assertThat(groups.get(0))
        .containsExactly("0 1", "0 2", "0 2", "0 4 8 12", "0 1 4 5 8 9 12 13", "0 12", "0");
    assertThat(groups.get(7))
        .containsExactly("6 7", "5 7", "5 7", "3 7 11 15", "2 3 6 7 10 11 14 15", "7", "7");
    assertThat(groups.get(15).get(5)).isEqualTo("3 15");
  }

  @Test
  void resultsComeInRankOrderAndNoThreadIsLeft() {
    Set<Long> before = threads();
    assertThat(run(5, rank -> rank.rank() * 10)).containsExactly(0, 10, 20, 30, 40);
    assertThatThrownBy(() -> run(3, LocalRanksTest::failOnSecond))
        .isInstanceOf(CommunicationException.class);
    Set<Long> after = threads();
    after.removeAll(before);
    assertThat(after).isEmpty();
  }

  private static Set<Long> threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("rank "))
        .map(Thread::threadId)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static int failOnSecond(RankContext rank) {
    // A bucket under way makes every rank start its second thread.
    MemoryScope scope = rank.memory().scope("run", false);
    Tensor x = scope.allocate("x", DType.F32, 100_000);
    rank.backend().fill(x, 1);
    Work work = rank.groups().world().startAllReduce(x, Reduction.SUM);
    if (rank.rank() == 1) {
      throw new IllegalStateException("the fuse has blown");
    }
    work.await();
    rank.groups().world().barrier();
    return 0;
  }

  @Test
  void theFirstFailureIsShownWithEveryRanksPlace() {
    CountDownLatch computing = new CountDownLatch(1);
    assertThatThrownBy(() ->
            run(
                4,
                rank -> {
                  Communicator world = rank.groups().world();
                  if (rank.rank() == 3) {
                    computing.await();
                    return 0;
                  }
                  if (rank.rank() == 2) {
                    world.allReduce(1, Reduction.MAX);
                  }
                  if (rank.rank() == 1) {
                    // Fails only when rank 2 and rank 0 wait for certain.
                    while (rank.memory().reservedBytes() == 0 && !othersWait()) {
                      Thread.onSpinWait();
                    }
                    computing.countDown();
                    throw new IllegalStateException("the fuse has blown");
                  }
                  world.allReduce(1, Reduction.MAX);
                  return 0;
                }))
        .isInstanceOf(CommunicationException.class)
        .hasMessageContaining("rank 1 failed: java.lang.IllegalStateException: the fuse has blown")
        .hasMessageContaining("rank 0 waits since")
        .hasMessageContaining("all-reduce MAX of a number, number 1 of world {0, 1, 2, 3}")
        .hasMessageContaining("rank 1 computes since")
        .hasMessageMatching("(?s).*rank 3 (computes|ended).*")
        .hasRootCauseMessage("the fuse has blown");
  }

  private static boolean othersWait() {
    return Thread.getAllStackTraces().entrySet().stream()
            .filter(entry -> entry.getKey().getName().matches("rank [02]"))
            .filter(entry -> entry.getKey().getState() == Thread.State.TIMED_WAITING)
            .count()
        == 2;
  }

  @Test
  void anErrorOfTheUserIsThrownAsItIs() {
    assertThatThrownBy(() ->
            run(
                3,
                rank -> {
                  if (rank.rank() == 0) {
                    throw new UserError("the row is empty; fill it");
                  }
                  rank.groups().world().barrier();
                  return 0;
                }))
        .isInstanceOf(UserError.class)
        .hasMessage("the row is empty; fill it");
  }

  @Test
  void ranksThatWaitForEachOtherAreFoundAtOnce() {
    assertThatThrownBy(() ->
            run(
                2,
                rank -> {
                  try (MemoryScope scope = rank.memory().scope("test", true)) {
                    Tensor x = scope.allocate("x", DType.F32, 10);
                    rank.backend().fill(x, rank.rank());
                    rank.groups().world().send(x, 1 - rank.rank(), 7);
                  }
                  return 0;
                }))
        .isInstanceOf(CommunicationException.class)
        .hasMessageContaining("each waits for another")
        .hasMessageContaining("message F32[10] from 0 to 1, tag 7 of world {0, 1}")
        .hasMessageContaining("message F32[10] from 1 to 0, tag 7 of world {0, 1}");
  }

  @Test
  void waitingForARankThatHasEndedFails() {
    assertThatThrownBy(() ->
            run(
                3,
                rank -> {
                  if (rank.rank() != 1) {
                    rank.groups().world().barrier();
                  }
                  return 0;
                }))
        .isInstanceOf(CommunicationException.class)
        .hasMessageContaining("one that has ended")
        .hasMessageContaining("rank 1 ended");
  }

  @Test
  void aHangIsReportedAfterTheTimeout() {
    CountDownLatch never = new CountDownLatch(1);
    AtomicInteger ended = new AtomicInteger();
    assertThatThrownBy(() ->
            run(
                ParallelSizes.ofWorld(2).build(),
                Duration.ofMillis(300),
                rank -> {
                  try {
                    if (rank.rank() == 0) {
                      rank.groups().world().barrier();
                    } else {
                      never.await();
                    }
                  } finally {
                    ended.incrementAndGet();
                    never.countDown();
                  }
                  return 0;
                }))
        .isInstanceOf(CommunicationException.class)
        .hasMessageContaining("rank 0 has waited PT0.3S for barrier, number 1 of world {0, 1}")
        .hasMessageContaining("not there: [1]")
        .hasMessageContaining("rank 1 computes since");
    assertThat(ended).hasValue(2);
  }

  /** Bytes move while the rank that has to read them computes. */
  @Test
  void whatIsStartedGoesOnWhileARankComputes() {
    List<Boolean> moved =
        run(
            2,
            rank -> {
              try (MemoryScope scope = rank.memory().scope("test", true)) {
                Tensor x = scope.allocate("x", DType.F32, 1 << 20);
                rank.backend().fill(x, 1);
                Work work = rank.groups().world().startAllReduce(x, Reduction.SUM);
                while (!work.isDone()) {
                  Thread.onSpinWait();
                }
                work.await();
                double[] values =
                    HostTransfer.download(rank.backend().device(), x.slice(12_345, 1));
                return values[0] == 2;
              }
            });
    assertThat(moved).containsExactly(true, true);
  }
}
