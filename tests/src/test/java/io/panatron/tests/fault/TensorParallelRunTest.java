package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.panatron.cli.InProcess;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Runs of ranks that share a model's matrices, from the command line to the checkpoint. */
class TensorParallelRunTest {
  private static final Pattern LOSS = Pattern.compile("loss ([-0-9.eE]+),");

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({"float32, false", "float32, true", "bfloat16, true"})
  void aResumedRunEqualsAnUninterruptedOne(String dtype, boolean sequence) {
    TrainingCall whole =
        shared("whole")
            .with("torch_dtype", dtype)
            .with("sequence_parallel", sequence)
            .with("save_interval", 4);
    trained(whole);
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 4));

    InProcess.Result result = trained(rest);

    assertThat(result.out())
        .contains("at iteration 4, 16 samples consumed")
        .contains("2 ranks: tensor 2" + (sequence ? " with sequence parallelism" : "") + ",");
    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5)).hasSize(4);
    RunFiles.assertSameState(checkpoint(rest, 8), checkpoint(whole, 8));
  }

  @Test
  void narrowStateOfTheOptimizerIsRestoredToTheBit() {
    TrainingCall whole =
        shared("whole")
            .with("torch_dtype", "bfloat16")
            .with("use_precision_aware_optimizer", true)
            .with("main_grads_dtype", "bf16")
            .with("exp_avg_dtype", "bf16")
            .with("save_interval", 4);
    trained(whole);
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 4));
    trained(rest);
    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5)).hasSize(4);
    RunFiles.assertSameState(checkpoint(rest, 8), checkpoint(whole, 8));
  }

  /** The state does not say on how many ranks it was made. */
  @Test
  void aRunGoesOnOnAnotherNumberOfRanks() {
    TrainingCall one = into("one").with("save_interval", 4);
    TrainingCall two = shared("two").with("sequence_parallel", true).with("save_interval", 4);
    trained(one);
    trained(two);
    assertSameLosses(RunFiles.log(two.save()), RunFiles.log(one.save()));
    assertSameTensors(checkpoint(two, 8), checkpoint(one, 8));
    TrainingCall onTwo =
        two.with("save", folder.resolve("one to two")).with("load", checkpoint(one, 4));
    TrainingCall onOne =
        one.with("save", folder.resolve("two to one")).with("load", checkpoint(two, 4));
    trained(onTwo);
    trained(onOne);
    assertSameLosses(RunFiles.log(onTwo.save()), RunFiles.logFrom(one.save(), 5));
    assertSameLosses(RunFiles.log(onOne.save()), RunFiles.logFrom(one.save(), 5));
  }

  @Test
  void aWeightThatIsNotFiniteEndsTheRunInOneSentence() throws IOException {
    Path model = Fixture.copyModel(folder.resolve("model"));
    WeightFile.setFloat(
        model.resolve("model.safetensors"), "model.layers.1.mlp.down_proj.weight", 0, Float.NaN);
    InProcess.Result result = shared("out").with("model", model).run();
    assertThat(result.status()).isNotZero();
    assertThat(result.err()).contains("iteration 1, rank ", "loss of token").hasLineCount(1);
    assertThat(folder.resolve("out/checkpoint-1")).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource({
    "async_save, true, --async_save true is not supported yet together with",
    "log_params_norm, true, --log_params_norm true is not supported yet together with",
    "streaming, true, --streaming true is not supported yet together with",
    "tensor_model_parallel_size, 3, key-value heads (num_query_groups)",
    "tensor_model_parallel_size, 0, --tensor_model_parallel_size"
  })
  void whatRanksCannotShareIsRefused(String name, String value, String message) {
    TrainingCall call = shared("refused").with(name, value);
    if (name.equals("streaming")) {
      call = call.with("dataloader_type", "single");
    }
    InProcess.Result result = call.run();
    assertThat(result.status()).isNotZero();
    assertThat(result.err()).contains(message);
    assertThat(call.save()).doesNotExist();
  }

  private TrainingCall into(String name) {
    return TrainingCall.into(folder.resolve(name));
  }

  private TrainingCall shared(String name) {
    return into(name).with("tensor_model_parallel_size", 2);
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

  /** The same names and shapes, in the model's files and in the optimizer's. */
  private static void assertSameTensors(Path actual, Path expected) {
    for (String file : new String[] {"model.safetensors", "state/optimizer.safetensors"}) {
      assertThat(shapes(actual.resolve(file))).isEqualTo(shapes(expected.resolve(file)));
    }
  }

  private static Map<String, String> shapes(Path file) {
    Map<String, String> shapes = new TreeMap<>();
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile.open(file, arena)
          .tensors()
          .forEach((name, tensor) -> shapes.put(name, tensor.toString()));
    }
    assertThat(shapes).isNotEmpty();
    return shapes;
  }
}
