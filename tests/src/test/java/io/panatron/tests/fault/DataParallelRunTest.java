package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs of ranks that share a global batch, from the command line to the checkpoint. */
class DataParallelRunTest {
  private static final Pattern LOSS = Pattern.compile("loss ([-0-9.eE]+),");

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({"float32, false, false", "float32, true, true", "bfloat16, false, true"})
  void aResumedRunEqualsAnUninterruptedOne(String dtype, boolean overlap, boolean async) {
    TrainingCall whole =
        shared("whole")
            .with("torch_dtype", dtype)
            .with("overlap_grad_reduce", overlap)
            .with("async_save", async)
            .with("save_interval", 4);
    trained(whole);
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 4));

    InProcess.Result result = trained(rest);

    assertThat(result.out())
        .contains("at iteration 4, 16 samples consumed")
        .contains("2 ranks: tensor 1, context 1, data 2, pipeline 1");
    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5)).hasSize(4);
    RunFiles.assertSameState(checkpoint(rest, 8), checkpoint(whole, 8));
  }

  /** Without clipping no number depends on the order in which the norm is summed. */
  @ParameterizedTest
  @ValueSource(strings = {"float32", "bfloat16"})
  void stateBroughtTogetherIsThatOfAnOptimizerThatWasNeverShared(String dtype) {
    TrainingCall distributed =
        shared("distributed").with("torch_dtype", dtype).with("clip_grad", 0);
    TrainingCall replicated =
        distributed
            .with("save", folder.resolve("replicated"))
            .with("use_distributed_optimizer", false);
    trained(distributed);
    trained(replicated);
    RunFiles.assertSameState(checkpoint(distributed, 8), checkpoint(replicated, 8));
  }

  /** The state does not say on how many ranks it was made. */
  @Test
  void aRunGoesOnOnAnotherNumberOfRanks() {
    TrainingCall one = into("one").with("save_interval", 4);
    TrainingCall two = shared("two").with("save_interval", 4);
    trained(one);
    trained(two);
    assertSameLosses(RunFiles.log(two.save()), RunFiles.log(one.save()));
    for (int ranks : new int[] {1, 4}) {
      TrainingCall on =
          two.with("nproc_per_node", ranks)
              .with("save", folder.resolve("two to " + ranks))
              .with("load", checkpoint(two, 4));
      trained(on);
      assertSameLosses(RunFiles.log(on.save()), RunFiles.logFrom(one.save(), 5));
    }
    TrainingCall onTwo =
        two.with("save", folder.resolve("one to two")).with("load", checkpoint(one, 4));
    trained(onTwo);
    assertSameLosses(RunFiles.log(onTwo.save()), RunFiles.logFrom(one.save(), 5));
  }

  /** Two ranks that share matrices, twice. */
  @Test
  void dataAndTensorParallelismGoTogether() {
    TrainingCall one = into("one");
    TrainingCall four = shared("four").with("nproc_per_node", 4).with("threads", 4);
    TrainingCall both = four.with("tensor_model_parallel_size", 2).with("sequence_parallel", true);
    trained(one);
    InProcess.Result result = trained(both);
    assertThat(result.out())
        .contains("4 ranks: tensor 2 with sequence parallelism, context 1, data 2");
    assertSameLosses(RunFiles.log(both.save()), RunFiles.log(one.save()));
  }

  @Test
  void ranksValidateTogether() {
    TrainingCall one =
        into("one")
            .with("val_dataset", Fixture.rows())
            .with("eval_iters", 3)
            .with("eval_interval", 8);
    TrainingCall two = one.with("save", folder.resolve("two")).with("nproc_per_node", 2);
    Matcher expected = evaluation(trained(one).out());
    Matcher actual = evaluation(trained(two).out());
    assertThat(Double.parseDouble(actual.group(1)))
        .isCloseTo(Double.parseDouble(expected.group(1)), within(1e-4));
    assertThat(actual.group(2)).isEqualTo(expected.group(2));
  }

  private static Matcher evaluation(String out) {
    Matcher matcher = Pattern.compile("eval_loss ([0-9.]+),? eval_tokens ([0-9,]+)").matcher(out);
    assertThat(matcher.find()).as(out).isTrue();
    return matcher;
  }

  @Test
  void aLossThatIsNotFiniteNamesTheRankAndEndsAll() throws IOException {
    Path model = Fixture.copyModel(folder.resolve("model"));
    WeightFile.setFloat(model.resolve("model.safetensors"), "model.norm.weight", 1, Float.NaN);
    InProcess.Result result = shared("out").with("model", model).run();
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).containsPattern("iteration 1, rank [01]").contains("loss of token");
    assertThat(folder.resolve("out/checkpoint-1")).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource({
    "streaming, true, --streaming true is not supported yet together with several data-parallel",
    "use_precision_aware_optimizer, true, --use_precision_aware_optimizer true is not supported yet",
    "nproc_per_node, 3, --global_batch_size 4 is not a multiple of --micro_batch_size 1 times the 3",
    "tensor_model_parallel_size, 4, 2 ranks cannot be divided",
    "overlap_param_gather, true, --overlap_param_gather"
  })
  void whatRanksCannotShareIsRefused(String name, String value, String message) {
    TrainingCall call = shared("refused").with(name, value);
    InProcess.Result result = call.run();
    assertThat(result.status()).isNotZero();
    assertThat(result.err()).contains(message);
    assertThat(call.save()).doesNotExist();
  }

  /** In file order, in which a global batch has the same rows on any number of ranks. */
  private TrainingCall into(String name) {
    return TrainingCall.into(folder.resolve(name)).with("dataloader_type", "single");
  }

  private TrainingCall shared(String name) {
    return into(name).with("nproc_per_node", 2);
  }

  private static InProcess.Result trained(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.status()).as(result.err()).isZero();
    return result;
  }

  private static Path checkpoint(TrainingCall call, int iteration) {
    return call.save().resolve("checkpoint-" + iteration);
  }

  private static void assertSameLosses(Map<Integer, String> actual, Map<Integer, String> expected) {
    assertThat(actual.keySet()).isEqualTo(expected.keySet()).isNotEmpty();
    actual.forEach((iteration, row) ->
        assertThat(loss(row))
            .as("loss of iteration %d", iteration)
            .isCloseTo(loss(expected.get(iteration)), within(1e-4)));
  }

  private static double loss(String row) {
    Matcher matcher = LOSS.matcher(row);
    assertThat(matcher.find()).as(row).isTrue();
    return Double.parseDouble(matcher.group(1));
  }
}
