package io.panatron.runtime.parallel.topology;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class ParallelSizesTest {
  @Test
  void theDataParallelSizesFollowFromTheOthers() {
    ParallelSizes sizes =
        ParallelSizes.ofWorld(48).tensor(2).context(2).pipeline(3).expert(8).build();

    assertThat(sizes.data()).isEqualTo(4);
    assertThat(sizes.expertData()).isEqualTo(2);
  }

  @Test
  void theSequenceIsSplitOnlyAmongTensorParallelRanks() {
    assertThat(ParallelSizes.ofWorld(2).sequenceParallel(true).build().sequenceParallel())
        .isFalse();
    assertThat(ParallelSizes.ofWorld(2).tensor(2).sequenceParallel(true).build().sequenceParallel())
        .isTrue();
  }

  @Test
  void aWorldThatTheDenseSizesDoNotDivideIsRefused() {
    refused(
        ParallelSizes.ofWorld(12).tensor(2).pipeline(4)::build,
        "12 ranks cannot be divided by --tensor_model_parallel_size 2 x --context_parallel_size 1"
            + " x --pipeline_model_parallel_size 4 = 8; change these sizes or start a multiple of 8"
            + " ranks.");
  }

  @Test
  void aWorldThatTheExpertSizesDoNotDivideIsRefused() {
    refused(
        ParallelSizes.ofWorld(12).tensor(2).expert(8)::build,
        "12 ranks cannot be divided by --expert_tensor_parallel_size 1 x --expert_model_parallel_size"
            + " 8 x --pipeline_model_parallel_size 1 = 8; change these sizes or start a multiple of 8"
            + " ranks.");
  }

  @Test
  void sizesWhoseProductExceedsAnIntAreRefused() {
    assertThatThrownBy(ParallelSizes.ofWorld(1 << 20).tensor(1 << 16).pipeline(1 << 16)::build)
        .isInstanceOf(UserError.class)
        .hasMessageContaining("= 4294967296;");
  }

  @Test
  void aSizeBelowOneIsRefused() {
    refused(
        ParallelSizes.ofWorld(2).context(0)::build,
        "--context_parallel_size is 0; it must be at least 1.");
  }

  @Test
  void interleavingNeedsAPipeline() {
    refused(
        ParallelSizes.ofWorld(2).virtualPipeline(2)::build,
        "--num_virtual_stages_per_pipeline_rank is 2, but interleaving needs a"
            + " --pipeline_model_parallel_size above 1; raise that or leave the virtual stages out.");
  }

  @Test
  void denseAndExpertLayersMustShareTheirPipelines() {
    RankOrder order = RankOrder.parse("tp-cp-ep-pp-dp");
    refused(
        ParallelSizes.ofWorld(16).tensor(2).pipeline(2).expert(4).order(order)::build,
        "with the order of ranks tp-cp-ep-pp-dp the pipelines of the dense layers (a stage every 2"
            + " ranks) and of the expert layers (every 4) differ; let the order end in pp, or make"
            + " the sizes before pp equal in both.");
    assertThat(
            ParallelSizes.ofWorld(16).tensor(2).pipeline(2).expert(2).order(order).build().data())
        .isEqualTo(4);
  }

  @Test
  void withPipelinesInTheMiddleTheDataParallelSizesMustAgree() {
    refused(
        ParallelSizes.ofWorld(8).pipeline(2).expert(2).order(RankOrder.parse("tp-cp-pp-dp-ep"))
            ::build,
        "the order of ranks tp-cp-pp-dp-ep does not end in pp, so the data-parallel sizes of the"
            + " dense layers (4) and of the expert layers (2) must be equal; let the order end in"
            + " pp.");
  }

  @Test
  void anOrderMayLeaveOutWhatIsNotSplit() {
    assertThat(RankOrder.parse("TP-DP").axes())
        .containsExactly(ParallelAxis.TENSOR, ParallelAxis.DATA);
    assertThat(ParallelSizes.ofWorld(4).tensor(2).order(RankOrder.parse("tp-dp")).build().data())
        .isEqualTo(2);
    refused(
        ParallelSizes.ofWorld(4).pipeline(2).order(RankOrder.parse("tp-dp"))::build,
        "the size of pp is 2, but the order of ranks tp-dp does not name it; add -pp to the order.");
  }

  @Test
  void anOrderNamesDimensionsOnce() {
    refused(
        () -> RankOrder.parse("tp-tp-dp"),
        "the order of ranks tp-tp-dp names a dimension twice; name each of tp, cp, ep, dp and pp"
            + " once.");
    refused(
        () -> RankOrder.parse("tp-zz"),
        "the order of ranks tp-zz names 'zz', which is no dimension; use tp, cp, ep, dp and pp"
            + " joined by -.");
  }

  private static void refused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(UserError.class).hasMessage(message);
  }
}
