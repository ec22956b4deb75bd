package io.panatron.runtime.parallel.topology;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class TopologyTest {
  /** Any sizes that divide the world, with pp last or, where the sizes allow it, anywhere. */
  @Provide
  Arbitrary<ParallelSizes> sizes() {
    Arbitrary<Integer> size = Arbitraries.integers().between(1, 3);
    Arbitrary<Boolean> anyOrder = Arbitraries.of(true, false);
    return Combinators.combine(size, size, size, size, size, size, anyOrder, Arbitraries.longs())
        .as(TopologyTest::sizes);
  }

  private static ParallelSizes sizes(
      int tensor,
      int context,
      int pipeline,
      int data,
      int expert,
      int etp,
      boolean any,
      long seed) {
    // With the same split in both kinds of layers every order is allowed.
    int world = any ? tensor * pipeline * data : tensor * context * pipeline * data * expert * etp;
    List<ParallelAxis> axes = new ArrayList<>(RankOrder.DEFAULT.axes());
    axes.remove(ParallelAxis.PIPELINE);
    Collections.shuffle(axes, new Random(seed));
    int place = any ? (int) Math.floorMod(seed, 5L) : 4;
    axes.add(place, ParallelAxis.PIPELINE);
    return ParallelSizes.ofWorld(world)
        .tensor(tensor)
        .context(any ? 1 : context)
        .pipeline(pipeline)
        .expert(any ? 1 : expert)
        .expertTensor(any ? tensor : etp)
        .order(new RankOrder(axes))
        .build();
  }

  @Property
  void groupsOfAKindPartitionTheWorld(@ForAll("sizes") ParallelSizes sizes) {
    Topology topology = new Topology(sizes);
    for (GroupKind kind : GroupKind.values()) {
      if (kind.endsOfPipeline()) {
        continue;
      }
      List<Integer> all = new ArrayList<>();
      for (RankGroup group : topology.groups(kind)) {
        group.ranks().forEach(all::add);
      }
      assertThat(all).as(kind.label()).hasSize(sizes.world());
      assertThat(all)
          .as(kind.label())
          .containsAll(IntStream.range(0, sizes.world()).boxed().toList());
    }
  }

  @Property
  void aGroupHoldsTheRanksThatDifferInItsDimensionsOnly(@ForAll("sizes") ParallelSizes sizes) {
    Topology topology = new Topology(sizes);
    for (GroupKind kind : GroupKind.values()) {
      if (kind.endsOfPipeline()) {
        continue;
      }
      List<Map<ParallelAxis, Integer>> places = places(sizes, kind.expert());
      for (int rank = 0; rank < sizes.world(); rank++) {
        Map<ParallelAxis, Integer> own = fixed(places.get(rank), kind);
        List<Integer> expected =
            IntStream.range(0, sizes.world())
                .filter(other -> fixed(places.get(other), kind).equals(own))
                .boxed()
                .toList();
        assertThat(topology.group(kind, rank).ranks().boxed()).isEqualTo(expected);
      }
    }
  }

  /** Coordinates of all ranks, counted up like an odometer; no strides. */
  private static List<Map<ParallelAxis, Integer>> places(ParallelSizes s, boolean expert) {
    Map<ParallelAxis, Integer> size = new EnumMap<>(ParallelAxis.class);
    size.put(ParallelAxis.TENSOR, expert ? s.expertTensor() : s.tensor());
    size.put(ParallelAxis.CONTEXT, expert ? 1 : s.context());
    size.put(ParallelAxis.EXPERT, expert ? s.expert() : 1);
    size.put(ParallelAxis.DATA, expert ? s.expertData() : s.data());
    size.put(ParallelAxis.PIPELINE, s.pipeline());
    List<Map<ParallelAxis, Integer>> places = List.of(new EnumMap<>(ParallelAxis.class));
    for (ParallelAxis axis : s.order().axes()) {
      List<Map<ParallelAxis, Integer>> grown = new ArrayList<>();
      for (int i = 0; i < size.get(axis); i++) {
        for (Map<ParallelAxis, Integer> inner : places) {
          Map<ParallelAxis, Integer> place = new EnumMap<>(ParallelAxis.class);
          place.putAll(inner);
          place.put(axis, i);
          grown.add(place);
        }
      }
      places = grown;
    }
    return places;
  }

  private static Map<ParallelAxis, Integer> fixed(
      Map<ParallelAxis, Integer> place, GroupKind kind) {
    Map<ParallelAxis, Integer> rest = new EnumMap<>(ParallelAxis.class);
    rest.putAll(place);
    kind.axes().forEach(rest::remove);
    return rest;
  }

  @Property
  void aGroupKnowsThePlaceOfEachOfItsMembersAndOfNoOther(@ForAll("sizes") ParallelSizes sizes) {
    Topology topology = new Topology(sizes);
    for (GroupKind kind : GroupKind.values()) {
      for (RankGroup group : topology.groups(kind)) {
        int[] members = group.ranks().toArray();
        assertThat(members).isSorted();
        for (int rank = 0; rank < sizes.world(); rank++) {
          int place = Arrays.binarySearch(members, rank);
          assertThat(group.indexOf(rank)).isEqualTo(Math.max(place, -1));
          assertThat(group.contains(rank)).isEqualTo(place >= 0);
          if (place >= 0) {
            assertThat(topology.group(kind, rank)).isEqualTo(group);
          }
        }
      }
    }
  }

  @Property
  void embeddingsAreAtTheEndsOfEachPipeline(@ForAll("sizes") ParallelSizes sizes) {
    Topology topology = new Topology(sizes);
    for (int rank = 0; rank < sizes.world(); rank++) {
      int[] pipeline = topology.group(GroupKind.PIPELINE_PARALLEL, rank).ranks().toArray();
      int first = pipeline[0];
      int last = pipeline[pipeline.length - 1];
      assertThat(topology.group(GroupKind.EMBEDDING, rank).ranks())
          .isEqualTo(first == last ? List.of(first) : List.of(first, last));
      assertThat(topology.group(GroupKind.POSITION_EMBEDDING, rank).ranks()).containsExactly(first);
    }
  }

  @Test
  void sixteenRanksInFourStagesOfTwoByTwo() {
    Topology topology = new Topology(ParallelSizes.ofWorld(16).tensor(2).pipeline(4).build());

    assertThat(topology.sizes().data()).isEqualTo(2);
    assertThat(topology.groups(GroupKind.TENSOR_PARALLEL).toString())
        .isEqualTo("[{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}, {10, 11}, {12, 13}, {14, 15}]");
    assertThat(topology.groups(GroupKind.DATA_PARALLEL).toString())
        .isEqualTo("[{0, 2}, {1, 3}, {4, 6}, {5, 7}, {8, 10}, {9, 11}, {12, 14}, {13, 15}]");
    assertThat(topology.groups(GroupKind.PIPELINE_PARALLEL).toString())
        .isEqualTo("[{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}]");
    assertThat(topology.groups(GroupKind.MODEL_PARALLEL).toString())
        .isEqualTo("[{0, 1, 4, 5, 8, 9, 12, 13}, {2, 3, 6, 7, 10, 11, 14, 15}]");
    assertThat(topology.groups(GroupKind.EMBEDDING).toString())
        .isEqualTo("[{0, 12}, {1, 13}, {2, 14}, {3, 15}]");
  }

  @Test
  void expertsMayBeSplitOtherwiseThanTheDenseLayers() {
    Topology topology =
        new Topology(ParallelSizes.ofWorld(16).tensor(2).context(2).pipeline(2).expert(4).build());

    assertThat(topology.sizes().data()).isEqualTo(2);
    assertThat(topology.sizes().expertData()).isEqualTo(2);
    assertThat(topology.groups(GroupKind.CONTEXT_PARALLEL).toString())
        .isEqualTo("[{0, 2}, {1, 3}, {4, 6}, {5, 7}, {8, 10}, {9, 11}, {12, 14}, {13, 15}]");
    assertThat(topology.groups(GroupKind.EXPERT_PARALLEL).toString())
        .isEqualTo("[{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}]");
    assertThat(topology.groups(GroupKind.EXPERT_DATA_PARALLEL).toString())
        .isEqualTo("[{0, 4}, {1, 5}, {2, 6}, {3, 7}, {8, 12}, {9, 13}, {10, 14}, {11, 15}]");
    assertThat(topology.groups(GroupKind.DATA_CONTEXT_PARALLEL).toString())
        .isEqualTo("[{0, 2, 4, 6}, {1, 3, 5, 7}, {8, 10, 12, 14}, {9, 11, 13, 15}]");
  }

  @Test
  void aHundredThousandRanksFindTheirGroups() {
    ParallelSizes sizes =
        ParallelSizes.ofWorld(100_000).tensor(8).pipeline(4).expert(4).expertTensor(2).build();
    Topology topology = new Topology(sizes);

    for (GroupKind kind : GroupKind.values()) {
      for (int rank = 0; rank < sizes.world(); rank++) {
        RankGroup group = topology.group(kind, rank);
        assertThat(kind.endsOfPipeline() || group.contains(rank)).isTrue();
      }
    }
    RankGroup data = topology.group(GroupKind.DATA_PARALLEL, 99_999);
    assertThat(data.size()).isEqualTo(3125);
    assertThat(data.first()).isEqualTo(75_007);
    assertThat(data.rank(3124)).isEqualTo(99_999);
  }
}
