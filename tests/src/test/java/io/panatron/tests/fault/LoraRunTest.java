package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import io.panatron.runtime.checkpoint.AdapterMerge;
import io.panatron.runtime.checkpoint.ModelWeights;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole runs that train adapters: what they leave, how they go on, what is made of the result. */
class LoraRunTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private TrainingCall lora(String name) {
    return TrainingCall.into(folder.resolve(name))
        .with("tuner_type", "lora")
        .with("save_interval", 4)
        .with("lora_dropout", 0.1);
  }

  private static TrainingCall with(TrainingCall call, List<String> settings) {
    TrainingCall changed = call;
    for (int i = 0; i < settings.size(); i += 2) {
      changed = changed.with(settings.get(i), settings.get(i + 1));
    }
    return changed;
  }

  private static InProcess.Result succeeds(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.err()).isEmpty();
    assertThat(result.status()).isZero();
    return result;
  }

  private static List<String> names(Path folder) {
    return Fixture.files(folder).stream().map(f -> f.getFileName().toString()).toList();
  }

  /** Everything that decides the numbers, together and one at a time. */
  static Stream<List<String>> settings() {
    return Stream.of(
        List.<String>of(),
        List.of("async_save", "true", "packing", "true"),
        List.of("torch_dtype", "bfloat16", "use_rslora", "true"),
        List.of(
            "recompute_granularity",
            "full",
            "recompute_method",
            "uniform",
            "recompute_num_layers",
            "1",
            "hidden_dropout",
            "0.1",
            "micro_batch_size",
            "2"),
        List.of("torch_dtype", "float16", "initial_loss_scale", "1024", "async_save", "true"),
        List.of(
            "modules_to_save",
            "output_layer",
            "use_precision_aware_optimizer",
            "true",
            "exp_avg_dtype",
            "bf16",
            "torch_dtype",
            "bfloat16"),
        List.of("recompute_modules", "mlp", "optimizer", "sgd"));
  }

  @ParameterizedTest
  @MethodSource("settings")
  void aResumedRunEndsWithTheBitsOfAnUninterruptedOne(List<String> settings) {
    TrainingCall whole = with(lora("whole"), settings);
    succeeds(whole);
    Path half = whole.save().resolve("checkpoint-4");
    TrainingCall resumed =
        with(lora("resumed"), settings).with("adapter_load", half).without("tuner_type");
    InProcess.Result result = succeeds(resumed);
    assertThat(result.out()).contains("at iteration 4");
    assertThat(RunFiles.log(resumed.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5));
    for (String file :
        List.of(
            "checkpoint-8/adapter_model.safetensors",
            "checkpoint-8/state/optimizer.safetensors",
            "checkpoint-8-merged/model.safetensors")) {
      assertThat(resumed.save().resolve(file)).hasSameBinaryContentAs(whole.save().resolve(file));
    }
  }

  @Test
  void aCheckpointHoldsTheAdapterAndItsStateAloneAndTheMergedModelBesideIt() throws IOException {
    TrainingCall call = lora("run");
    InProcess.Result result = succeeds(call);
    Path checkpoint = call.save().resolve("checkpoint-8");
    assertThat(names(checkpoint))
        .contains("adapter_config.json", "adapter_model.safetensors", "args.json", "state")
        .doesNotContain("model.safetensors", "config.json", "tokenizer.json");
    assertThat(names(call.save().resolve("checkpoint-8-merged")))
        .contains("model.safetensors", "config.json", "tokenizer.json", "args.json")
        .noneMatch(name -> name.startsWith("adapter"));
    // 19,776 trained parameters of F32, two moments of them, and small files.
    assertThat(Files.size(checkpoint.resolve("state/optimizer.safetensors")))
        .isBetween(158208L, 180000L);
    assertThat(result.out())
        .contains("Trained           19,776 of ")
        .contains("(6 fused, with one A each)");
    JsonNode arguments = JSON.readTree(checkpoint.resolve("args.json").toFile());
    assertThat(arguments.get("lr").asDouble()).isEqualTo(1e-3);
    assertThat(arguments.get("tuner_type").asText()).isEqualTo("lora");
  }

  @Test
  void withoutMergingAndWithRetentionNoMergedModelStays() {
    TrainingCall apart = lora("apart").with("merge_lora", false);
    succeeds(apart);
    assertThat(names(apart.save())).contains("checkpoint-8").doesNotContain("checkpoint-8-merged");
    TrainingCall limited = lora("limited").with("save_total_limit", 1);
    succeeds(limited);
    assertThat(names(limited.save()))
        .contains("checkpoint-8", "checkpoint-8-merged")
        .doesNotContain("checkpoint-4", "checkpoint-4-merged");
  }

  @ParameterizedTest
  @ValueSource(strings = {"all-linear", "q_proj,v_proj,down_proj", "all-linear,all-embedding"})
  void theMergedModelAnswersAsTheAdapterBesideTheBaseDoes(String targets) throws IOException {
    TrainingCall call =
        lora("run-" + targets.length())
            .with("lr", "1e-2")
            .with("config", targetsFile(targets.split(",")));
    succeeds(call);
    Path checkpoint = call.save().resolve("checkpoint-8");
    Path merged = call.save().resolve("checkpoint-8-merged");
    List<JsonNode> beside = answers(Fixture.model(), "--adapters", checkpoint.toString());
    List<JsonNode> within = answers(merged);
    List<JsonNode> untrained = answers(Fixture.model());
    for (int i = 0; i < beside.size(); i++) {
      assertThat(beside.get(i).get("new_ids")).isEqualTo(within.get(i).get("new_ids"));
      JsonNode expected = beside.get(i).get("logprobs");
      for (int t = 0; t < expected.size(); t++) {
        // Rounding of the merged weights: 2^-24 of 64 terms each.
        assertThat(within.get(i).get("logprobs").get(t).asDouble())
            .isCloseTo(expected.get(t).asDouble(), within(2e-5));
      }
    }
    assertThat(beside).isNotEqualTo(untrained);
    Path again = folder.resolve("again");
    AdapterMerge.write(Fixture.model(), checkpoint, again, 1 << 30);
    assertSameTensors(again, merged);
  }

  /** Files may have their tensors in another order. */
  private static void assertSameTensors(Path model, Path expected) {
    try (Arena arena = Arena.ofConfined()) {
      var tensors = ModelWeights.open(model, arena).tensors();
      var others = ModelWeights.open(expected, arena).tensors();
      assertThat(tensors.keySet()).isEqualTo(others.keySet());
      tensors.forEach((name, tensor) ->
          assertThat(tensor.data().mismatch(Objects.requireNonNull(others.get(name)).data()))
              .as(name)
              .isEqualTo(-1));
    }
  }

  private Path targetsFile(String... targets) throws IOException {
    return Files.writeString(
        folder.resolve("targets.yaml"), "target_modules: [" + String.join(", ", targets) + "]\n");
  }

  private static List<JsonNode> answers(Path model, String... more) throws IOException {
    List<String> arguments =
        new ArrayList<>(List.of("generate", "--model", model.toString(), "--format", "jsonl"));
    arguments.addAll(List.of("--ignore_eos", "true", "--max_new_tokens", "12", "--threads", "2"));
    arguments.addAll(List.of("--logprobs", "true", "--template", "chatml", "--device", "cpu"));
    arguments.addAll(List.of(more));
    arguments.addAll(List.of("--prompt", "one", "zwölf"));
    InProcess.Result result = InProcess.run(arguments);
    assertThat(result.status()).as(result.err()).isZero();
    List<JsonNode> rows = new ArrayList<>();
    for (String line : result.out().lines().toList()) {
      rows.add(JSON.readTree(line));
    }
    assertThat(rows).hasSize(2);
    return rows;
  }

  /** The golden numbers by way of the command line, from PEFT's own files. */
  @Test
  void anAdapterOfPeftIsTrainedOnAsItIsOrWithOneAForEachFusedProjection() throws IOException {
    Path adapter =
        Path.of(Objects.requireNonNull(Fixture.model().getParent()).toString())
            .resolve("adapter_init");
    JsonNode golden = JSON.readTree(adapter.resolveSibling("golden.json").toFile());
    TrainingCall plain =
        TrainingCall.into(folder.resolve("plain"))
            .with("adapters", adapter)
            .with("template", "chatml")
            .with("dataset_shuffle", false)
            .with("train_dataloader_shuffle", false)
            .with("lr_decay_style", "cosine")
            .with("weight_decay", 0.1)
            .with("adam_beta2", 0.95);
    assertLosses(plain, golden.get("train_lora"));
    assertLosses(
        plain.with("save", folder.resolve("shared")).with("target_modules", "all-linear"),
        golden.get("train_lora_shared_a"));
  }

  private static void assertLosses(TrainingCall call, JsonNode golden) throws IOException {
    succeeds(call);
    List<String> rows = Files.readAllLines(call.save().resolve("logging.jsonl"));
    for (int i = 0; i < 8; i++) {
      double expected = golden.get("iterations").get(i).get("loss").asDouble();
      double loss = JSON.readTree(rows.get(i)).get("loss").asDouble();
      // The log has eight decimals; rounding moves losses by 2e-7.
      assertThat(loss).as("iteration %d", i + 1).isCloseTo(expected, within(1e-5 * expected));
    }
  }

  @Test
  void finetuningAnAdapterStartsOverWithItsWeights() {
    TrainingCall first = lora("first");
    succeeds(first);
    Path end = first.save().resolve("checkpoint-8");
    TrainingCall tuned = lora("tuned").with("adapter_load", end).with("finetune", true);
    TrainingCall from = lora("from").with("adapters", end).with("target_modules", "all-linear");
    assertThat(succeeds(tuned).out()).contains("starting at iteration 0");
    succeeds(from);
    assertThat(RunFiles.log(tuned.save())).hasSize(8).isEqualTo(RunFiles.log(from.save()));
    assertThat(RunFiles.log(tuned.save())).isNotEqualTo(RunFiles.log(first.save()));
  }

  @Test
  void partsOfAModelAreTrainedAloneAndResumed() throws IOException {
    TrainingCall call =
        TrainingCall.into(folder.resolve("part"))
            .with("save_interval", 4)
            .with("freeze_parameters_ratio", 1)
            .with("trainable_parameters", "decoder.layers.2.mlp")
            .with("torch_dtype", "bfloat16");
    InProcess.Result result = succeeds(call);
    assertThat(result.out()).contains("Trained           ").contains("gradients");
    Path end = call.save().resolve("checkpoint-8");
    assertThat(end.resolve("model.safetensors")).exists();
    TrainingCall resumed =
        call.with("save", folder.resolve("resumed"))
            .with("load", call.save().resolve("checkpoint-4"));
    succeeds(resumed);
    RunFiles.assertSameState(resumed.save().resolve("checkpoint-8"), end);
    // 3 x 104 x 64 weights of the MLP and its norm apart, everything is as it was.
    assertThat(Files.size(end.resolve("state/optimizer.safetensors")))
        .isBetween(2L * 4 * 3 * 104 * 64, 2L * 4 * 3 * 104 * 64 + 2000);
  }
}
