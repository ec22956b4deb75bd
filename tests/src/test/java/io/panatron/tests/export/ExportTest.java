package io.panatron.tests.export;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import io.panatron.runtime.checkpoint.ModelWeights;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code trainer export} there and back, and what a run makes of it. */
class ExportTest {
  private static final List<String> TRAINING =
      List.of(
          "--template",
          "chatml",
          "--add_version",
          "false",
          "--train_iters",
          "3",
          "--global_batch_size",
          "4",
          "--micro_batch_size",
          "2",
          "--log_interval",
          "1",
          "--lr",
          "1e-3",
          "--device",
          "cpu",
          "--threads",
          "2");

  @TempDir Path folder;

  private static Path golden(String name) {
    try {
      return Path.of(
          Objects.requireNonNull(ExportTest.class.getResource("/golden/" + name)).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static InProcess.Result trainer(String... arguments) {
    return InProcess.run(List.of(arguments));
  }

  private static InProcess.Result done(String... arguments) {
    InProcess.Result result = trainer(arguments);
    assertThat(result.status()).as(result.err()).isZero();
    return result;
  }

  private String in(String name) {
    return folder.resolve(name).toString();
  }

  private static void assertSameTensors(Path expected, Path actual) {
    try (Arena arena = Arena.ofConfined()) {
      Map<String, SafetensorsTensor> before = ModelWeights.open(expected, arena).tensors();
      Map<String, SafetensorsTensor> after = ModelWeights.open(actual, arena).tensors();
      assertThat(after.keySet()).isEqualTo(before.keySet());
      before.forEach((name, tensor) -> {
        SafetensorsTensor other = after.get(name);
        assertThat(other.dtype()).isEqualTo(tensor.dtype());
        assertThat(other.shape()).isEqualTo(tensor.shape());
        assertThat(other.data().mismatch(tensor.data())).as(name).isEqualTo(-1);
      });
    }
  }

  private static JsonNode config(Path model) throws IOException {
    return new ObjectMapper().readTree(model.resolve("config.json").toFile());
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen3", "qwen2", "llama3", "gpt2"})
  void thereAndBackIsTheSameBitByBit(String family) throws IOException {
    Path model = golden(family + "/model");
    InProcess.Result there =
        done(
            "export",
            "--to_mcore",
            "true",
            "--model",
            model.toString(),
            "--save",
            in("mcore"),
            "--test_convert_precision",
            "true");
    assertThat(there.out())
        .contains(
            "mean_diff: 0.00000, max_diff: 0.00000",
            "mean_diff (with loss): 0.00000",
            "token_diff: 0, token_diff (with loss): 0");

    done(
        "export",
        "--to_hf",
        "true",
        "--load",
        in("mcore"),
        "--save",
        in("hf"),
        "--max_shard_size",
        "100KB");

    Path back = folder.resolve("hf");
    assertSameTensors(model, back);
    assertThat(back.resolve("model.safetensors.index.json")).exists();
    for (String name :
        List.of("tokenizer.json", "tokenizer_config.json", "generation_config.json")) {
      assertThat(back.resolve(name)).hasSameBinaryContentAs(model.resolve(name));
    }
    assertThat(config(back)).isEqualTo(config(model));
    assertThat(back.resolve("manifest.json")).doesNotExist();
    assertThat(back.resolve("state")).doesNotExist();
    try (Stream<Path> all = Files.list(folder)) {
      assertThat(all).hasSize(2);
    }
  }

  private void train(String save, String... more) {
    List<String> arguments =
        new ArrayList<>(List.of("sft", "--dataset", golden("qwen3/train.jsonl").toString()));
    arguments.addAll(TRAINING);
    arguments.addAll(List.of("--save", in(save)));
    arguments.addAll(List.of(more));
    InProcess.Result result = InProcess.run(arguments);
    assertThat(result.status()).as(result.err()).isZero();
  }

  /**
   * A run from the export takes the steps that one from the model takes. Where weights are wider
   * than the run's dtype, --load takes them as they are and --model rounds them first, so the
   * export is made in that dtype.
   */
  @ParameterizedTest
  @CsvSource({"float32, false", "float32, true", "bfloat16, false", "bfloat16, true"})
  void aRunLoadsWhatWasExported(String dtype, boolean finetune) {
    String model = golden("qwen3/model").toString();
    done(
        "export",
        "--to_mcore",
        "true",
        "--model",
        model,
        "--save",
        in("mcore"),
        "--torch_dtype",
        dtype);

    train("a", "--model", model, "--torch_dtype", dtype);
    train("b", "--load", in("mcore"), "--torch_dtype", dtype, "--finetune", finetune + "");

    assertSameTensors(folder.resolve("a/checkpoint-3"), folder.resolve("b/checkpoint-3"));
  }

  /** Float32 of a bfloat16 run are its exact parameters, not the rounded ones made wider. */
  @Test
  void aTrainedCheckpointBecomesAModelOfAnyDtype() throws IOException {
    train("run", "--model", golden("qwen3/model").toString(), "--torch_dtype", "bfloat16");
    Path checkpoint = folder.resolve("run/checkpoint-3");
    Path exact = Files.createDirectory(folder.resolve("exact"));
    Files.copy(
        checkpoint.resolve("state/parameters.safetensors"), exact.resolve("model.safetensors"));

    done("export", "--to_hf", "true", "--load", in("run"), "--save", in("same"));
    done(
        "export",
        "--to_hf",
        "true",
        "--load",
        in("run"),
        "--save",
        in("wide"),
        "--torch_dtype",
        "float32");
    InProcess.Result narrow =
        done(
            "export",
            "--to_hf",
            "true",
            "--load",
            in("run"),
            "--save",
            in("half"),
            "--fp16",
            "true",
            "--test_convert_precision",
            "true");

    assertSameTensors(checkpoint, folder.resolve("same"));
    assertSameTensors(exact, folder.resolve("wide"));
    assertThat(config(folder.resolve("wide")).path("torch_dtype").asText()).isEqualTo("float32");
    assertThat(config(folder.resolve("half")).path("torch_dtype").asText()).isEqualTo("float16");
    assertThat(narrow.out()).contains("  mean_diff: ").doesNotContain("mean_diff: 0.00000,");
    assertThat(folder.resolve("same/args.json"))
        .hasSameBinaryContentAs(checkpoint.resolve("args.json"));
  }

  /** What was trained is still written as it was trained when its export is tried. */
  @Test
  void theTemplateOfATrainedModelGoesAlong() throws IOException {
    train("run", "--model", golden("qwen3/model").toString());
    done("export", "--to_mcore", "true", "--model", in("run/checkpoint-3"), "--save", in("again"));

    JsonNode arguments = new ObjectMapper().readTree(folder.resolve("again/args.json").toFile());
    assertThat(arguments.path("template").asText()).isEqualTo("chatml");
    assertThat(arguments.path("command").asText()).isEqualTo("export");
  }

  @Test
  void theDefaultFolderLiesBesideACheckpoint() {
    train("run", "--model", golden("qwen3/model").toString());
    done("export", "--to_hf", "true", "--load", in("run/checkpoint-3"));
    assertThat(folder.resolve("run/checkpoint-3-hf/model.safetensors")).exists();
  }

  @Test
  void anExistingFolderIsReplacedOnlyOnRequest() {
    String model = golden("qwen3/model").toString();
    done("export", "--to_mcore", "true", "--model", model, "--save", in("out"));
    InProcess.Result again =
        trainer("export", "--to_mcore", "true", "--model", model, "--save", in("out"));
    assertThat(again.status()).isEqualTo(2);
    assertThat(again.err()).contains("exists already", "--exist_ok true");
    done("export", "--to_hf", "true", "--model", model, "--save", in("out"), "--exist_ok");
    assertThat(folder.resolve("out/manifest.json")).doesNotExist();
    assertSameTensors(golden("qwen3/model"), folder.resolve("out"));
  }

  /** A command line after {@code export --save out}, and what its refusal says. */
  record Mistake(String line, List<String> phrases) {
    static Mistake of(String line, String... phrases) {
      return new Mistake(line, List.of(phrases));
    }
  }

  static Stream<Mistake> mistakes() {
    return Stream.of(
        Mistake.of("--model MODEL", "needs to know what to make", "--to_mcore", "--to_hf"),
        Mistake.of("--model MODEL --to_hf --to_mcore", "exclude each other"),
        Mistake.of("--to_mcore", "--model, which is missing"),
        Mistake.of("--to_mcore --model MODEL --load MODEL", "leave out --load"),
        Mistake.of("--to_hf", "--load, which is missing"),
        Mistake.of("--to_hf --load X --model MODEL", "leave out --model"),
        Mistake.of("--to_hf --load MODEL", "no checkpoint-<n> folder", "use --model"),
        Mistake.of("--to_hf --load MEGATRON", "iter_0000010", "pickles", "--model"),
        Mistake.of("--to_hf --load gone", "--load gone", "not a folder"),
        Mistake.of("--to_mcore --model gone", "gone", "config.json", "does not exist"),
        Mistake.of("--to_mcore --model org/name", "--use_hf true", "ModelScope"),
        Mistake.of("--to_mcore --model EMPTY", "no weights", "nothing to export"),
        Mistake.of("--to_mcore --model MODEL --lr 1e-3", "--lr means nothing to an export"),
        Mistake.of(
            "--to_mcore --model MODEL --packing true --seed 1", "--seed, --packing mean nothing"),
        Mistake.of("--to_mcore --model MODEL --merge_lora true", "--merge_lora", "LoRA"),
        Mistake.of("--to_mcore --model MODEL --adapters a", "--adapters", "LoRA"),
        Mistake.of("--to_mcore --model MODEL --ckpt_format zarr", "--ckpt_format zarr"),
        Mistake.of("--to_mcore --model MODEL --tensor_model_parallel_size 2", "--tensor_model"),
        Mistake.of("--to_mcore --model MODEL --bf16 --torch_dtype float32", "contradicts"),
        Mistake.of("--to_mcore --model MODEL --max_shard_size big", "--max_shard_size big"),
        Mistake.of("--to_mcore --model MODEL --test_convert_dtype bfloat16", "no effect without"),
        Mistake.of(
            "--to_mcore --model MODEL --test_convert_precision --test_convert_dtype float8",
            "--test_convert_dtype float8"),
        Mistake.of(
            "--to_mcore --model MODEL --test_convert_precision --device_map cuda:0",
            "--device_map cuda:0"),
        Mistake.of("--to_mcore --model MODEL --model_revision v1", "--model_revision v1"));
  }

  @ParameterizedTest
  @MethodSource("mistakes")
  void aMistakeGetsOneSentenceAndLeavesNothing(Mistake mistake) throws IOException {
    Files.createDirectories(folder.resolve("in/megatron/iter_0000010"));
    Path empty = Files.createDirectories(folder.resolve("in/empty"));
    Files.copy(golden("qwen3/model/config.json"), empty.resolve("config.json"));
    String line =
        mistake
            .line()
            .replace("MODEL", golden("qwen3/model").toString())
            .replace("MEGATRON", folder.resolve("in/megatron").toString())
            .replace("EMPTY", empty.toString());
    List<String> arguments = new ArrayList<>(List.of("export", "--save", in("out")));
    arguments.addAll(List.of(line.split(" ")));

    InProcess.Result result = InProcess.run(arguments);

    assertThat(result.status()).as(result.err()).isEqualTo(2);
    assertThat(result.err().strip().lines()).as(result.err()).hasSize(1);
    assertThat(result.err()).contains(mistake.phrases());
    try (Stream<Path> all = Files.list(folder)) {
      assertThat(all).containsExactly(folder.resolve("in"));
    }
  }
}
