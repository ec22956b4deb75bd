package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class BatchSamplerTest {
  record Case(int samples, int micro, int ranks, boolean cyclic, boolean shuffle, boolean sharded) {
    BatchSampler sampler(int rank) {
      return BatchSampler.of(
          new BatchSampler.Shape(samples, micro, rank, ranks), cyclic, shuffle, sharded);
    }

    int step() {
      return micro * ranks;
    }
  }

  @Provide
  Arbitrary<Case> cases() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    return Combinators.combine(
            Arbitraries.integers().between(1, 200),
            Arbitraries.integers().between(1, 5),
            Arbitraries.integers().between(1, 16),
            flag,
            flag,
            flag)
        .as((n, m, r, c, s, d) -> new Case(n + m * r - 1, m, r, c, s, d));
  }

  /** Samples of all ranks, step by step. */
  private static List<List<Integer>> steps(Case c, long from, int count) {
    List<List<Integer>> steps = new ArrayList<>();
    List<BatchSampler> samplers = new ArrayList<>();
    for (int rank = 0; rank < c.ranks(); rank++) {
      samplers.add(c.sampler(rank));
    }
    for (int i = 0; i < count; i++) {
      List<Integer> step = new ArrayList<>();
      for (BatchSampler sampler : samplers) {
        for (int sample : sampler.microBatch(from + (long) i * c.step())) {
          step.add(sample);
        }
      }
      steps.add(step);
    }
    return steps;
  }

  private static List<Integer> flat(List<List<Integer>> steps) {
    return steps.stream().flatMap(List::stream).toList();
  }

  @Property
  void noSampleComesTwiceInAnEpochAndOnlyAPartOfAStepIsLeftOut(@ForAll("cases") Case c) {
    int perEpoch = c.samples() / c.step();
    for (int epoch = 0; epoch < 3; epoch++) {
      List<Integer> all = flat(steps(c, (long) epoch * perEpoch * c.step(), perEpoch));
      assertThat(all).doesNotHaveDuplicates().hasSize(c.samples() - c.samples() % c.step());
      assertThat(all).allMatch(i -> i >= 0 && i < c.samples());
    }
  }

  @Property
  void resumingAnywhereGivesTheUninterruptedOrder(
      @ForAll("cases") Case c, @ForAll("skips") int skip) {
    List<List<Integer>> whole = steps(c, 0, skip + 10);
    assertThat(steps(c, (long) skip * c.step(), 10)).isEqualTo(whole.subList(skip, skip + 10));
  }

  @Provide
  Arbitrary<Integer> skips() {
    return Arbitraries.integers().between(0, 300);
  }

  @Property
  void theRanksOfAnUnshardedOrderTogetherTakeItsPrefix(@ForAll("cases") Case c) {
    if (c.cyclic() && c.shuffle() && c.sharded()) {
      return; // each rank has an order of its own there
    }
    Case one = new Case(c.samples(), c.step(), 1, c.cyclic(), c.shuffle(), c.sharded());
    List<List<Integer>> several = steps(c, 0, c.samples() / c.step());
    if (c.cyclic() && c.shuffle()) {
      int length = c.samples() / c.micro() * c.micro();
      List<Integer> order = new ArrayList<>();
      for (int i : new TorchRandom(0).permutation(length)) {
        order.add(i);
      }
      assertThat(flat(several))
          .containsExactlyInAnyOrderElementsOf(order.subList(0, flat(several).size()));
    } else {
      List<List<Integer>> single = steps(one, 0, c.samples() / c.step());
      for (int i = 0; i < single.size(); i++) {
        assertThat(several.get(i)).containsExactlyInAnyOrderElementsOf(single.get(i));
      }
    }
  }

  @Property(tries = 100)
  void theRanksOfAnOrderGroupedByLengthTogetherTakeItsPrefix(
      @ForAll("cases") Case c, @ForAll long seed) {
    int[] lengths = new Random(seed).ints(c.samples(), 1, 1000).toArray();
    BatchSampler whole =
        BatchSampler.groupedByLength(new BatchSampler.Shape(c.samples(), c.step(), 0, 1), lengths);
    for (int i = 0; i < c.samples() / c.step(); i++) {
      List<Integer> step = new ArrayList<>();
      for (int rank = 0; rank < c.ranks(); rank++) {
        BatchSampler.Shape shape = new BatchSampler.Shape(c.samples(), c.micro(), rank, c.ranks());
        for (int sample :
            BatchSampler.groupedByLength(shape, lengths).microBatch((long) i * c.step())) {
          step.add(sample);
        }
      }
      assertThat(step)
          .containsExactlyInAnyOrderElementsOf(
              Arrays.stream(whole.microBatch((long) i * c.step())).boxed().toList());
    }
  }

  @Test
  void theOrdersAreMegatrons() {
    // torch.randperm(8, seed 0) and (4, seed 0), written out from PyTorch
    int[] eight = new TorchRandom(0).permutation(8);
    int[] four = new TorchRandom(0).permutation(4);
    Case sharded = new Case(9, 2, 2, true, true, true);
    assertThat(sharded.sampler(1).microBatch(4)).containsExactly(4 + four[2], 4 + four[3]);
    Case global = new Case(9, 2, 2, true, true, false);
    assertThat(global.sampler(1).microBatch(4)).containsExactly(eight[5], eight[7]);
    assertThat(new Case(9, 2, 2, true, false, true).sampler(1).microBatch(4)).containsExactly(5, 7);
    assertThat(new Case(9, 2, 2, false, true, true).sampler(1).microBatch(4)).containsExactly(6, 7);
  }

  @Test
  void epochsAreShuffledDifferently() {
    Case c = new Case(64, 4, 1, true, true, true);
    assertThat(steps(c, 0, 16)).isNotEqualTo(steps(c, 64, 16));
  }

  @Test
  void misuseIsRefused() {
    assertThatThrownBy(() -> new BatchSampler.Shape(3, 2, 0, 2))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Case(9, 2, 2, true, true, true).sampler(0).microBatch(2))
        .isInstanceOf(IllegalArgumentException.class);
  }

  /** Expected orders: transformers 5, get_length_grouped_indices. */
  @Test
  void groupingByLengthIsTransformersOrder() {
    for (JsonNode c : Fixtures.json("lengthgroups.json")) {
      int[] lengths = ints(c.get("lengths"));
      int[] order = ints(c.get("order"));
      BatchSampler.Shape shape =
          new BatchSampler.Shape(lengths.length, c.get("step").asInt(), 0, 1);
      BatchSampler sampler = BatchSampler.groupedByLength(shape, lengths);
      List<Integer> drawn = new ArrayList<>();
      long start = c.get("epoch").asLong() * shape.active();
      for (long at = 0; at < shape.active(); at += shape.step()) {
        for (int i : sampler.microBatch(start + at)) {
          drawn.add(i);
        }
      }
      assertThat(drawn)
          .containsExactlyElementsOf(Arrays.stream(order).limit(shape.active()).boxed().toList());
    }
  }

  private static int[] ints(JsonNode list) {
    int[] ints = new int[list.size()];
    for (int i = 0; i < ints.length; i++) {
      ints[i] = list.get(i).asInt();
    }
    return ints;
  }
}
