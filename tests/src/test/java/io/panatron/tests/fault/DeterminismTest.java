package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which bits of a run depend on what. */
class DeterminismTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  /** Packs of some 500 tokens, so that products, attention and sums are divided among threads. */
  @ParameterizedTest
  @CsvSource({"float32, 0", "float32, 0.1", "bfloat16, 0.1"})
  void aRunHasTheSameBitsOnAnyNumberOfThreads(String dtype, double dropout) {
    TrainingCall first =
        into("first")
            .with("torch_dtype", dtype)
            .with("hidden_dropout", dropout)
            .with("attention_dropout", dropout)
            .with("packing", true)
            .with("max_length", 512)
            .with("global_batch_size", 1)
            .with("train_iters", 4)
            .with("save_interval", 4)
            .with("load_from_cache_file", false)
            .with("deterministic_mode", true);
    trained(first.with("threads", 1).with("num_workers", 0).with("dataset_num_proc", 1));
    for (int threads : new int[] {2, 3}) {
      TrainingCall again = first.with("save", folder.resolve("on-" + threads));
      again = again.with("threads", threads);
      trained(again.with("num_workers", 2).with("dataset_num_proc", threads));

      assertThat(RunFiles.log(again.save())).isEqualTo(RunFiles.log(first.save())).hasSize(4);
      RunFiles.assertSameState(
          again.save().resolve("checkpoint-4"), first.save().resolve("checkpoint-4"));
    }
  }

  /** The masks are the same to the bit; what is computed with them is rounded otherwise. */
  @Test
  void cpuAndReferenceDropTheSame() throws IOException {
    TrainingCall cpu = into("cpu").with("hidden_dropout", 0.3).with("attention_dropout", 0.3);
    cpu = cpu.with("train_iters", 3);
    TrainingCall reference =
        cpu.with("device", "reference").with("save", folder.resolve("reference"));
    TrainingCall without = into("without").with("train_iters", 3);
    trained(cpu);
    trained(reference);
    trained(without);

    List<Double> expected = column(reference.save(), "loss");
    assertThat(expected).hasSize(3);
    for (int i = 0; i < 3; i++) {
      // As GoldenTest's tolerance of a loss.
      assertThat(column(cpu.save(), "loss").get(i))
          .isCloseTo(expected.get(i), within(1e-5 * expected.get(i)));
      // Dropping a third of everything moves a loss by more than a hundred times that.
      assertThat(Math.abs(column(without.save(), "loss").get(i) - expected.get(i)))
          .isGreaterThan(1e-3 * expected.get(i));
    }
  }

  /** The first update has rate 0, so after it the model is still the one that was loaded. */
  @Test
  void evaluationDropsNothing() throws IOException {
    TrainingCall plain = into("plain").with("val_dataset", Fixture.rows());
    plain = plain.with("eval_interval", 1).with("train_iters", 2).with("lr_warmup_iters", 1);
    TrainingCall dropping = plain.with("hidden_dropout", 0.5).with("attention_dropout", 0.5);
    dropping = dropping.with("save", folder.resolve("dropping"));
    trained(plain);
    trained(dropping);

    assertThat(column(dropping.save(), "eval_loss").getFirst())
        .isEqualTo(column(plain.save(), "eval_loss").getFirst());
    assertThat(column(dropping.save(), "loss").getFirst())
        .isNotEqualTo(column(plain.save(), "loss").getFirst());
  }

  @Test
  void queryKeyLayerScalingChangesNoBitAndSaysSo() {
    TrainingCall plain = into("plain").with("train_iters", 3);
    TrainingCall scaled = plain.with("save", folder.resolve("scaled"));
    trained(plain);
    InProcess.Result result = scaled.with("apply_query_key_layer_scaling", true).run();

    assertThat(result.status()).as(result.err()).isZero();
    assertThat(result.out()).contains("apply_query_key_layer_scaling", "float32 here");
    assertThat(RunFiles.log(scaled.save())).isEqualTo(RunFiles.log(plain.save())).hasSize(3);
  }

  @Test
  void aSoftmaxInTheDtypeOfTheModelIsRefused() {
    InProcess.Result result = into("none").with("attention_softmax_in_fp32", false).run();

    assertThat(result.status()).as(result.out()).isEqualTo(2);
    assertThat(result.err()).contains("--attention_softmax_in_fp32", "whatever the dtype");
    assertThat(result.err().lines()).hasSize(1);
    assertThat(folder.resolve("none")).doesNotExist();
  }

  @Test
  void ratesOutsideOfTheirRangeAreRefused() {
    for (String name : List.of("hidden_dropout", "attention_dropout")) {
      for (String value : List.of("1", "-0.1", "nan")) {
        InProcess.Result result = into("none").with(name, value).run();
        assertThat(result.status()).as(result.out()).isEqualTo(2);
        assertThat(result.err()).contains("--" + name, value);
        assertThat(result.err().lines()).hasSize(1);
      }
    }
    assertThat(folder.resolve("none")).doesNotExist();
  }

  private TrainingCall into(String name) {
    return TrainingCall.into(folder.resolve(name));
  }

  private static void trained(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.status()).as(result.err()).isZero();
  }

  private static List<Double> column(Path save, String name) throws IOException {
    List<Double> values = new ArrayList<>();
    for (String line : Files.readAllLines(save.resolve("logging.jsonl"))) {
      JsonNode value = JSON.readTree(line).get(name);
      if (value != null) {
        values.add(value.asDouble());
      }
    }
    return values;
  }
}
