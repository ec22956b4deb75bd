package io.panatron.tests.communication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.panatron.kernels.CommunicationException;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.Traffic.Kind;
import io.panatron.kernels.Work;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What {@link Communicator} promises, on groups of one to eight ranks; a subclass names the engine.
 */
abstract class CommunicatorConformance {
  private static final List<Integer> SIZES = List.of(1, 2, 3, 8);

  /**
   * Nothing, one element, fewer than ranks, an odd number, and more than any engine calls small.
   */
  private static final List<Integer> LENGTHS = List.of(0, 1, 5, 1_001, 12_003);

  abstract CommunicationEngine engine();

  private void run(int size, CommunicationEngine.Body body) {
    assumeTrue(engine().runs(size), () -> size + " ranks");
    engine().run(size, body);
  }

  private void runAll(CommunicationEngine.Body body) {
    for (int size : SIZES) {
      run(size, body);
    }
  }

  private static List<Integer> everybody(RankUnderTest rank) {
    return IntStream.range(0, rank.size()).boxed().toList();
  }

  @ParameterizedTest
  @EnumSource(names = {"F64", "F32", "BF16", "F16"})
  void allReduceHasTheSameBitsEverywhere(DType dtype) {
    runAll(rank -> {
      Communicator world = rank.world();
      for (int n : LENGTHS) {
        for (Reduction reduction : Reduction.values()) {
          Tensor x = rank.tensor(dtype, n, n);
          world.allReduce(x, reduction);
          assertThat(rank.read(x))
              .as("%s of %d %s", reduction, n, dtype)
              .isEqualTo(rank.reduced(dtype, everybody(rank), n, n, reduction));
        }
      }
    });
  }

  @ParameterizedTest
  @EnumSource(names = {"F64", "F32", "BF16", "F16"})
  void reduceScatterLeavesEachRankItsShare(DType dtype) {
    runAll(rank -> {
      Communicator world = rank.world();
      for (int share : LENGTHS) {
        int n = share * rank.size();
        for (Reduction reduction : Reduction.values()) {
          double[] all = rank.reduced(dtype, everybody(rank), n, n, reduction);
          double[] expected =
              Arrays.copyOfRange(all, share * rank.rank(), share * (rank.rank() + 1));
          Tensor whole = rank.tensor(dtype, n, n);
          Tensor part = rank.memory().empty(dtype, share);
          world.startReduceScatter(whole, part, reduction).await();
          assertThat(rank.read(part)).isEqualTo(expected);

          Tensor inPlace = rank.tensor(dtype, n, n);
          Tensor own = inPlace.slice((long) share * rank.rank(), share);
          world.startReduceScatter(inPlace, own, reduction).await();
          assertThat(rank.read(own)).as("in place").isEqualTo(expected);
        }
      }
    });
  }

  @ParameterizedTest
  @EnumSource(
      names = {"I32"},
      mode = EnumSource.Mode.EXCLUDE)
  void allGatherPutsThePartsInRankOrder(DType dtype) {
    runAll(rank -> {
      Communicator world = rank.world();
      for (int share : LENGTHS) {
        double[] expected = new double[share * rank.size()];
        for (int other = 0; other < rank.size(); other++) {
          double[] part = rank.values(dtype, other, share, share);
          System.arraycopy(part, 0, expected, other * share, share);
        }
        Tensor whole = rank.memory().empty(dtype, expected.length);
        world.allGather(rank.tensor(dtype, share, share), whole);
        assertThat(rank.read(whole)).isEqualTo(expected);

        Tensor inPlace = rank.memory().empty(dtype, expected.length);
        Tensor own = inPlace.slice((long) share * rank.rank(), share);
        rank.memory().write(own, rank.values(dtype, rank.rank(), share, share));
        world.allGather(own, inPlace);
        assertThat(rank.read(inPlace)).as("in place").isEqualTo(expected);
      }
    });
  }

  @ParameterizedTest
  @EnumSource(
      names = {"I32"},
      mode = EnumSource.Mode.EXCLUDE)
  void broadcastCopiesTheRoot(DType dtype) {
    runAll(rank -> {
      Communicator world = rank.world();
      for (int n : LENGTHS) {
        for (int root = 0; root < rank.size(); root++) {
          Tensor x = rank.tensor(dtype, n, n);
          world.broadcast(x, root);
          assertThat(rank.read(x)).isEqualTo(rank.values(dtype, root, n, n));
        }
      }
    });
  }

  @Test
  void integersTravelToo() {
    run(
        3,
        rank -> {
          Communicator world = rank.world();
          Tensor x = rank.memory().integers(rank.rank(), -7 - rank.rank());
          Tensor all = rank.memory().empty(DType.I32, 6);
          world.allGather(x, all);
          assertThat(rank.read(all)).containsExactly(0, -7, 1, -8, 2, -9);
        });
  }

  @Test
  void allToAllSendsBlocksOfAnyNumberOfRows() {
    runAll(rank -> {
      int width = 33;
      long[] sendRows = new long[rank.size()];
      long[] receiveRows = new long[rank.size()];
      for (int other = 0; other < rank.size(); other++) {
        sendRows[other] = rows(rank.rank(), other);
        receiveRows[other] = rows(other, rank.rank());
      }
      int sent = (int) Arrays.stream(sendRows).sum();
      int received = (int) Arrays.stream(receiveRows).sum();
      Tensor send = rank.tensor(DType.F32, 3, sent * width).reshape(sent, width);
      Tensor receive = rank.memory().empty(DType.F32, received, width);
      rank.world().startAllToAll(send, sendRows, receive, receiveRows).await();

      List<Double> expected = new ArrayList<>();
      for (int other = 0; other < rank.size(); other++) {
        int first = 0;
        int all = 0;
        for (int to = 0; to < rank.size(); to++) {
          first += to < rank.rank() ? rows(other, to) : 0;
          all += rows(other, to);
        }
        double[] values = rank.values(DType.F32, other, 3, all * width);
        for (int i = first * width; i < (first + rows(other, rank.rank())) * width; i++) {
          expected.add(values[i]);
        }
      }
      assertThat(rank.read(receive))
          .isEqualTo(expected.stream().mapToDouble(Double::doubleValue).toArray());
    });
  }

  /** How many rows one rank sends to another: some none, some many. */
  private static int rows(int from, int to) {
    return (from * 7 + to * 3) % 5 * (from + 1) * 9;
  }

  @Test
  void messagesMatchByTagAndOrder() {
    run(
        4,
        rank -> {
          Communicator world = rank.world();
          int next = (rank.rank() + 1) % rank.size();
          int previous = (rank.rank() + rank.size() - 1) % rank.size();
          List<Work> sends = new ArrayList<>();
          for (int message = 0; message < 12; message++) {
            sends.add(world.startSend(rank.tensor(DType.F32, message, 9_000), next, message % 3));
          }
          for (int tag = 2; tag >= 0; tag--) {
            for (int message = tag; message < 12; message += 3) {
              Tensor x = rank.memory().empty(DType.F32, 9_000);
              world.receive(x, previous, tag);
              assertThat(rank.read(x)).isEqualTo(rank.values(DType.F32, previous, message, 9_000));
            }
          }
          sends.forEach(Work::await);
          assertThat(sends).allMatch(Work::isDone);
        });
  }

  @Test
  void emptyMessagesArrive() {
    run(
        2,
        rank -> {
          Communicator world = rank.world();
          Tensor nothing = rank.memory().empty(DType.BF16, 0, 7);
          if (rank.rank() == 0) {
            world.send(nothing, 1, 5);
          } else {
            world.receive(nothing, 0, 5);
          }
        });
  }

  @Test
  void hostNumbersAndBytesGoRound() {
    runAll(rank -> {
      Communicator world = rank.world();
      double expected = 0;
      for (int other = 0; other < rank.size(); other++) {
        expected += 0.1 * other;
      }
      assertThat(world.allReduce(0.1 * rank.rank(), Reduction.SUM)).isEqualTo(expected);
      assertThat(world.allReduce(-1.0 - rank.rank(), Reduction.MAX)).isEqualTo(-1);
      assertThat(world.allReduce(rank.rank() == 0 ? Double.NaN : 1, Reduction.MAX)).isNaN();

      List<byte[]> all = world.allGather(text(rank.rank()));
      assertThat(all).hasSize(rank.size());
      for (int other = 0; other < rank.size(); other++) {
        assertThat(all.get(other)).isEqualTo(text(other));
        assertThat(world.broadcast(text(rank.rank()), other)).isEqualTo(text(other));
      }
      world.barrier();
    });
  }

  private static byte[] text(int rank) {
    return "x".repeat(rank * 3).getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void groupsHaveTheirOwnOrderAndTraffic() {
    run(
        5,
        rank -> {
          List<Integer> members = List.of(4, 0, 2);
          if (members.contains(rank.rank())) {
            Communicator group = rank.group("some", members);
            assertThat(group.rank()).isEqualTo(members.indexOf(rank.rank()));
            assertThat(group.size()).isEqualTo(3);
            Tensor x = rank.tensor(DType.F32, 1, 50);
            group.allReduce(x, Reduction.SUM);
            assertThat(rank.read(x))
                .isEqualTo(rank.reduced(DType.F32, members, 1, 50, Reduction.SUM));
            Tensor whole = rank.memory().empty(DType.F32, 3);
            group.allGather(rank.memory().tensor(DType.F32, new double[] {rank.rank()}, 1), whole);
            assertThat(rank.read(whole)).containsExactly(4, 0, 2);
            assertThat(group.traffic().bytes(Kind.ALL_REDUCE)).isEqualTo(200);
            assertThat(group.traffic().bytes(Kind.ALL_GATHER)).isEqualTo(12);
          }
          Communicator world = rank.world();
          world.barrier();
          assertThat(world.traffic().calls(Kind.ALL_REDUCE)).isZero();
        });
  }

  @Test
  void trafficCountsWhatWasPassed() {
    run(
        2,
        rank -> {
          Communicator world = rank.world();
          Tensor x = rank.tensor(DType.BF16, 1, 30);
          Tensor half = x.slice(0, 15);
          Tensor other = rank.memory().empty(DType.BF16, 15);
          Tensor grid = rank.memory().empty(DType.BF16, 2, 15);
          world.allReduce(x, Reduction.SUM);
          world.allReduce(x, Reduction.MAX);
          world.broadcast(half, 0);
          world.allGather(other, grid);
          world.reduceScatter(grid, other);
          world.allToAll(x, rank.memory().empty(DType.BF16, 30));
          Work sent = world.startSend(half, 1 - rank.rank(), 0);
          world.receive(other, 1 - rank.rank(), 0);
          sent.await();
          assertThat(world.traffic().calls(Kind.ALL_REDUCE)).isEqualTo(2);
          assertThat(world.traffic().bytes(Kind.ALL_REDUCE)).isEqualTo(120);
          assertThat(world.traffic().bytes(Kind.BROADCAST)).isEqualTo(30);
          assertThat(world.traffic().bytes(Kind.ALL_GATHER)).isEqualTo(60);
          assertThat(world.traffic().bytes(Kind.REDUCE_SCATTER)).isEqualTo(60);
          assertThat(world.traffic().bytes(Kind.ALL_TO_ALL)).isEqualTo(60);
          assertThat(world.traffic().bytes(Kind.SEND)).isEqualTo(30);
          assertThat(world.traffic().bytes(Kind.RECEIVE)).isEqualTo(30);
        });
  }

  @Test
  void manyWorksMayBeUnderWay() {
    run(
        4,
        rank -> {
          Communicator world = rank.world();
          List<Tensor> tensors = new ArrayList<>();
          List<Work> works = new ArrayList<>();
          for (int i = 0; i < 60; i++) {
            Tensor x = rank.tensor(DType.F32, i, 100 + 400 * i);
            tensors.add(x);
            works.add(world.startAllReduce(x, Reduction.SUM));
          }
          List<Integer> order = new ArrayList<>(IntStream.range(0, 60).boxed().toList());
          Collections.shuffle(order, new Random(rank.rank()));
          for (int i : order) {
            works.get(i).await();
            works.get(i).await();
            assertThat(works.get(i).isDone()).isTrue();
            assertThat(rank.read(tensors.get(i)))
                .isEqualTo(
                    rank.reduced(DType.F32, everybody(rank), i, 100 + 400 * i, Reduction.SUM));
          }
        });
  }

  /** Groups keep their own order; between groups each rank goes its own way. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void anyInterleavingOfGroupsCompletes(long seed) {
    run(
        4,
        rank -> {
          List<List<Integer>> members = List.of(everybody(rank), List.of(0, 1), List.of(2, 3));
          Random own = new Random(seed * 100 + rank.rank());
          List<Exchange> open = new ArrayList<>();
          int[] next = new int[members.size()];
          List<Turn> turns = new ArrayList<>();
          for (int g = 0; g < members.size(); g++) {
            if (members.get(g).contains(rank.rank())) {
              turns.add(new Turn(g, rank.group("group " + g, members.get(g))));
            }
          }
          while (!turns.isEmpty() || !open.isEmpty()) {
            // Waiting for what is not done before everything has begun might lock up for good.
            int pick = open.isEmpty() ? -1 : own.nextInt(open.size());
            if (pick >= 0 && (turns.isEmpty() || open.get(pick).work().isDone())) {
              open.remove(pick).check(rank);
            } else {
              Turn turn = turns.get(own.nextInt(turns.size()));
              int g = turn.group();
              int n = new Random(seed * 50 + g * 10L + next[g]).nextInt(30_000);
              Tensor x = rank.tensor(DType.F32, next[g], n);
              Work work = turn.communicator().startAllReduce(x, Reduction.SUM);
              open.add(new Exchange(x, work, members.get(g), next[g], n));
              if (++next[g] == 20) {
                turns.remove(turn);
              }
            }
          }
        });
  }

  private record Turn(int group, Communicator communicator) {}

  private record Exchange(Tensor x, Work work, List<Integer> members, int seed, int n) {
    void check(RankUnderTest rank) {
      work.await();
      assertThat(rank.read(x)).isEqualTo(rank.reduced(DType.F32, members, seed, n, Reduction.SUM));
    }
  }

  @Test
  void wrongArgumentsAreRefusedBeforeAnythingHappens() {
    run(
        2,
        rank -> {
          Communicator world = rank.world();
          Tensor x = rank.tensor(DType.F32, 1, 4);
          Tensor integers = rank.memory().integers(1, 2);
          Tensor three = rank.tensor(DType.F32, 1, 3);
          int peer = 1 - rank.rank();
          assertThatThrownBy(() -> world.allReduce(integers, Reduction.SUM))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("I32");
          List<Runnable> wrong =
              List.of(
                  () -> world.broadcast(x, 2),
                  () -> world.broadcast(x, -1),
                  () -> world.allGather(three, x),
                  () -> world.allGather(x.slice(0, 2), three),
                  () -> world.allGather(x.slice(1, 2), x),
                  () -> world.reduceScatter(x, three),
                  () -> world.reduceScatter(x, rank.tensor(DType.BF16, 1, 2)),
                  () -> world.allToAll(three, three),
                  () -> world.allToAll(x, x),
                  () -> world.startAllToAll(x, new long[] {1, 1}, three, new long[] {1, 2}),
                  () -> world.send(x, rank.rank(), 0),
                  () -> world.send(x, peer, -1),
                  () -> world.receive(x, 2, 0));
          for (Runnable call : wrong) {
            assertThatThrownBy(call::run).isInstanceOf(IllegalArgumentException.class);
          }
          world.allReduce(x, Reduction.SUM);
          assertThat(rank.read(x))
              .isEqualTo(rank.reduced(DType.F32, everybody(rank), 1, 4, Reduction.SUM));
        });
  }

  @Test
  void differentOperationsAreNamed() {
    assertThatThrownBy(() ->
            run(
                3,
                rank -> {
                  Communicator world = rank.world();
                  Tensor x = rank.tensor(DType.F32, 1, 8);
                  if (rank.rank() == 1) {
                    world.reduceScatter(rank.tensor(DType.F32, 1, 6), rank.tensor(DType.F32, 1, 2));
                  } else {
                    world.allReduce(x, Reduction.SUM);
                  }
                }))
        .isInstanceOf(CommunicationException.class)
        .hasMessageContaining("all-reduce SUM F32[8]")
        .hasMessageContaining("reduce-scatter SUM F32[6]")
        .hasMessageContaining("CommunicatorConformance");
  }

  @Test
  void differentShapesAndDtypesAreNamed() {
    assertThatThrownBy(() ->
            run(
                2,
                rank ->
                    rank.world()
                        .allReduce(rank.tensor(DType.F32, 1, 8 + rank.rank()), Reduction.SUM)))
        .isInstanceOf(CommunicationException.class)
        .hasMessageContaining("F32[8]")
        .hasMessageContaining("F32[9]");
    assertThatThrownBy(() ->
            run(
                2,
                rank -> {
                  Tensor x = rank.tensor(rank.rank() == 0 ? DType.F32 : DType.BF16, 1, 8);
                  if (rank.rank() == 0) {
                    rank.world().send(x, 1, 3);
                  } else {
                    rank.world().receive(x, 0, 3);
                  }
                }))
        .isInstanceOf(CommunicationException.class)
        .hasMessageContaining("F32[8]")
        .hasMessageContaining("BF16[8]");
  }

  @Test
  void theFailureOfOneRankEndsAll() {
    assertThatThrownBy(() ->
            run(
                4,
                rank -> {
                  Communicator world = rank.world();
                  world.barrier();
                  if (rank.rank() == 2) {
                    throw new IllegalStateException("the fuse has blown");
                  }
                  world.allReduce(rank.tensor(DType.F32, 1, 100_000), Reduction.SUM);
                }))
        .isInstanceOf(CommunicationException.class)
        .hasMessageContaining("rank 2 failed")
        .hasMessageContaining("the fuse has blown")
        .hasRootCauseInstanceOf(IllegalStateException.class);
  }
}
