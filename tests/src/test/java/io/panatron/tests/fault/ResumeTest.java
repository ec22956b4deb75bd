package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What {@code --load} takes over, and that it is all that a run needs to go on as if nothing was.
 */
class ResumeTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "float32, 1, adam, single",
    "float32, 3, adam, cyclic",
    "bfloat16, 1, adam, cyclic",
    "bfloat16, 3, sgd, single",
    "float16, 1, adam, single",
    "float16, 3, adam, cyclic"
  })
  void aResumedRunEqualsAnUninterruptedOne(
      String dtype, int logInterval, String optimizer, String sampler) {
    TrainingCall whole =
        into("whole")
            .with("torch_dtype", dtype)
            .with("log_interval", logInterval)
            .with("optimizer", optimizer)
            .with("dataloader_type", sampler)
            // Iteration 4 lies within the window of iterations 4 to 6.
            .with("save_interval", 4);
    if (dtype.equals("float16")) {
      // Iterations are skipped before and after the checkpoint, and the window for growth spans it.
      whole = whole.with("initial_loss_scale", 1 << 14).with("loss_scale_window", 2);
    }
    trained(whole);
    TrainingCall rest =
        whole
            .with("save", folder.resolve("rest"))
            .with("load", whole.save().resolve("checkpoint-4"));

    InProcess.Result result = trained(rest);

    assertThat(result.out()).contains("at iteration 4, 16 samples consumed");
    Map<Integer, String> rows = RunFiles.log(rest.save());
    assertThat(rows).isEqualTo(RunFiles.logFrom(whole.save(), 5)).isNotEmpty();
    assertThat(rows.keySet())
        .isEqualTo(logInterval == 1 ? java.util.Set.of(5, 6, 7, 8) : java.util.Set.of(6, 8));
    RunFiles.assertSameState(checkpoint(rest, 8), checkpoint(whole, 8));
  }

  /** As after a kill: iterations 5 to 8 were logged, and the last checkpoint is that of 4. */
  @Test
  void iterationsThatAreRunAgainInOneFolderAreLoggedOnce() throws IOException {
    TrainingCall call = into("run").with("save_interval", 4).with("add_version", false);
    trained(call);
    List<String> whole = Files.readAllLines(call.save().resolve("logging.jsonl"));
    Files.move(checkpoint(call, 8), folder.resolve("gone"));
    Files.writeString(
        call.save().resolve("latest_checkpointed_iteration.txt"), "4", StandardCharsets.UTF_8);

    trained(call.with("load", call.save()));

    List<String> again = Files.readAllLines(call.save().resolve("logging.jsonl"));
    assertThat(again).hasSameSizeAs(whole);
    assertThat(again.subList(0, 4)).isEqualTo(whole.subList(0, 4));
    assertThat(RunFiles.log(call.save())).hasSize(again.size());
  }

  /** No mask is stored: a resumed run drops what the other would have dropped. */
  @ParameterizedTest
  @CsvSource({"float32, cpu", "bfloat16, cpu", "float32, reference"})
  void aResumedRunDropsWhatAnUninterruptedOneDrops(String dtype, String device) {
    TrainingCall whole = dropping(into("whole")).with("torch_dtype", dtype).with("device", device);
    whole = whole.with("train_iters", 4).with("save_interval", 2);
    trained(whole);
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 2));

    InProcess.Result result = trained(rest);

    assertThat(result.out()).contains("Dropout           hidden 0.2, attention 0.1");
    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 3)).hasSize(2);
    RunFiles.assertSameState(checkpoint(rest, 4), checkpoint(whole, 4));
  }

  @Test
  void dropoutGoesOnWithTheSeedOfTheCheckpoint() {
    TrainingCall whole = dropping(into("whole")).with("save_interval", 4);
    trained(whole);
    TrainingCall other =
        whole
            .with("save", folder.resolve("other"))
            .with("load", checkpoint(whole, 4))
            .with("seed", 7)
            .with("save_interval", 2);
    TrainingCall third = other.with("save", folder.resolve("third")).with("seed", 8);
    third = third.with("load", checkpoint(other, 6));
    TrainingCall own = other.with("save", folder.resolve("own")).with("no_load_rng", true);

    InProcess.Result result = trained(other);
    trained(third);
    trained(own);

    assertThat(result.out())
        .contains("made with --seed 42, this run has --seed 7; dropout goes on with");
    assertThat(RunFiles.log(other.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5));
    assertThat(RunFiles.log(third.save())).isEqualTo(RunFiles.logFrom(whole.save(), 7));
    assertThat(RunFiles.log(own.save()).keySet()).containsExactly(5, 6, 7, 8);
    assertThat(RunFiles.log(own.save()).get(5)).isNotEqualTo(RunFiles.log(whole.save()).get(5));
  }

  @ParameterizedTest
  @CsvSource({
    "bfloat16, fp32, fp32, fp32, fp32",
    "bfloat16, bf16, fp16, fp8, fp16",
    "float32, bf16, fp32, bf16, fp8",
    "float16, fp32, fp16, fp16, bf16"
  })
  void narrowStateOfTheOptimizerIsRestoredToTheBit(
      String dtype, String gradients, String parameters, String first, String second) {
    TrainingCall whole =
        into("whole")
            .with("torch_dtype", dtype)
            .with("use_precision_aware_optimizer", true)
            .with("main_grads_dtype", gradients)
            .with("main_params_dtype", parameters)
            .with("exp_avg_dtype", first)
            .with("exp_avg_sq_dtype", second)
            .with("save_interval", 4);
    if (dtype.equals("float16")) {
      whole = whole.with("initial_loss_scale", 1 << 12);
    }
    trained(whole);
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 4));
    trained(rest);

    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5)).hasSize(4);
    RunFiles.assertSameState(checkpoint(rest, 8), checkpoint(whole, 8));
  }

  @ParameterizedTest
  @CsvSource({"bfloat16, fp32", "bfloat16, fp16", "float16, fp16"})
  void weightsAloneServeNarrowStateToo(String dtype, String parameters) {
    TrainingCall weights =
        into("weights")
            .with("torch_dtype", dtype)
            .with("no_save_optim", true)
            .with("save_interval", 4)
            .with("train_iters", 4);
    trained(weights);
    TrainingCall narrow =
        weights
            .with("save", folder.resolve("narrow"))
            .with("load", checkpoint(weights, 4))
            .with("no_load_optim", true)
            .with("use_precision_aware_optimizer", true)
            .with("main_params_dtype", parameters)
            .with("train_iters", 6);
    trained(narrow);

    assertThat(RunFiles.log(narrow.save()).keySet()).isNotEmpty().allMatch(row -> row > 4);
  }

  /** Files hold state in float32, so a run may go on with other dtypes. */
  @Test
  void stateIsConvertedWhereTheDtypesChange() {
    TrainingCall wide =
        into("wide")
            .with("torch_dtype", "bfloat16")
            .with("save_interval", 4)
            .with("train_iters", 8);
    trained(wide);
    TrainingCall narrow =
        wide.with("save", folder.resolve("narrow"))
            .with("load", checkpoint(wide, 4))
            .with("use_precision_aware_optimizer", true)
            .with("main_params_dtype", "fp16")
            .with("exp_avg_dtype", "fp8")
            .with("exp_avg_sq_dtype", "fp16");
    trained(narrow);
    TrainingCall back =
        wide.with("save", folder.resolve("back")).with("load", checkpoint(narrow, 8));
    trained(back.with("train_iters", 9));

    assertThat(RunFiles.log(narrow.save()).get(5)).isEqualTo(RunFiles.log(wide.save()).get(5));
    assertThat(RunFiles.log(narrow.save()).get(8)).isNotEqualTo(RunFiles.log(wide.save()).get(8));
    assertThat(RunFiles.log(back.save()).keySet()).containsExactly(9);
  }

  @Test
  void finetuneTakesTheWeightsAndStartsOver() {
    TrainingCall first = into("first").with("torch_dtype", "bfloat16");
    trained(first);

    TrainingCall second =
        into("second")
            .with("torch_dtype", "bfloat16")
            .with("load", checkpoint(first, 8))
            .with("finetune", true);
    InProcess.Result result = trained(second);
    // The same weights as --model: the log starts at 1 and no moment is left over.
    TrainingCall asModel =
        into("as-model")
            .with("torch_dtype", "bfloat16")
            .with("load", checkpoint(first, 8))
            .with("finetune", true)
            .with("model", checkpoint(first, 8));
    trained(asModel);

    assertThat(result.out()).contains("starting at iteration 0");
    assertThat(RunFiles.log(second.save())).hasSize(8).isEqualTo(RunFiles.log(asModel.save()));
    assertThat(RunFiles.log(second.save())).isNotEqualTo(RunFiles.log(first.save()));
  }

  /** In F32 a checkpoint's weights are the main parameters: it is a model like any other. */
  @Test
  void finetuningACheckpointEqualsTrainingItAsAModel() {
    TrainingCall first = into("first");
    trained(first);
    TrainingCall tuned = into("tuned").with("load", first.save()).with("finetune", true);
    TrainingCall model = into("model").with("model", checkpoint(first, 8));

    trained(tuned);
    trained(model);

    assertThat(RunFiles.log(tuned.save())).hasSize(8).isEqualTo(RunFiles.log(model.save()));
    RunFiles.assertSameState(checkpoint(tuned, 8), checkpoint(model, 8));
  }

  @Test
  void withoutItsOptimizerARunContinuesAtItsIterationWithFreshMoments() {
    TrainingCall whole = into("whole").with("save_interval", 4);
    trained(whole);
    TrainingCall rest =
        whole
            .with("save", folder.resolve("rest"))
            .with("load", checkpoint(whole, 4))
            .with("no_load_optim", true);

    InProcess.Result result = trained(rest);

    assertThat(result.out()).contains("at iteration 4, 16 samples consumed");
    Map<Integer, String> rows = RunFiles.log(rest.save());
    // The weights are the same, the first update is not.
    assertThat(rows.get(5)).isEqualTo(RunFiles.log(whole.save()).get(5));
    assertThat(rows.get(6)).isNotEqualTo(RunFiles.log(whole.save()).get(6));
  }

  @Test
  void aCheckpointWithoutOptimizerSaysSo() {
    TrainingCall whole = into("whole").with("save_interval", 4).with("no_save_optim", true);
    trained(whole);
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 4));

    assertMistake(rest, "checkpoint-4", "no optimizer state", "--no_load_optim true");
    trained(rest.with("no_load_optim", true));

    assertThat(RunFiles.log(rest.save()).keySet()).containsExactly(5, 6, 7, 8);
  }

  /** Without dropout nothing is drawn at random after the weights, so all runs go on alike. */
  @ParameterizedTest
  @ValueSource(strings = {"no_load_rng", "no_save_rng"})
  void theRandomStateMayBeLeftOut(String option) {
    TrainingCall whole = into("whole").with("save_interval", 4).with(option, true);
    trained(whole);
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 4));

    InProcess.Result otherSeed = trained(rest.with("seed", 7));

    assertThat(otherSeed.out()).doesNotContain("made with --seed");
    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5));
  }

  @Test
  void anotherSeedIsNoted() {
    TrainingCall whole = into("whole").with("save_interval", 4);
    trained(whole);

    InProcess.Result result =
        trained(
            whole
                .with("save", folder.resolve("rest"))
                .with("load", checkpoint(whole, 4))
                .with("seed", 7));

    assertThat(result.out()).contains("made with --seed 42, this run has --seed 7");
  }

  @Test
  void changedDataAreRefused() throws IOException {
    TrainingCall whole = into("whole").with("save_interval", 4);
    trained(whole);
    List<String> rows = Files.readAllLines(Fixture.rows());
    Path fewer = Files.write(folder.resolve("fewer.jsonl"), rows.subList(0, 12));
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 4));

    assertMistake(rest.with("dataset", fewer), "16 samples", "gives 12", "--finetune true");
    assertMistake(
        rest.with("micro_batch_size", 3).with("global_batch_size", 3),
        "16 samples",
        "--micro_batch_size 3");
    Path others = folder.resolve("others.jsonl");
    Files.write(others, rows.reversed());
    assertMistake(rest.with("dataset", others), "other samples", "--dataset", "--finetune true");
    assertMistake(rest.with("data_seed", 7), "other samples", "by --data_seed");
    assertMistake(
        rest.with("streaming", true).with("train_iters", 8).with("dataloader_type", "external"),
        "trained with --streaming false");
    trained(rest.with("dataset", fewer).with("finetune", true));
  }

  @Test
  void aResumedRunKeepsTheTimeThatTheTemplateTook() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    try (Stream<Path> files = Files.list(Fixture.model())) {
      for (Path file : files.toList()) {
        Files.copy(file, model.resolve(file.getFileName()));
      }
    }
    Files.writeString(
        model.resolve("chat_template.jinja"),
        """
        {{ strftime_now('%d') }}{% for m in messages %}<|im_start|>{{ m.role }}
        {{ m.content }}<|im_end|>
        {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
        {% endif %}\
        """);
    TrainingCall whole =
        into("whole").without("template").with("model", model).with("save_interval", 4);
    trained(whole);
    TrainingCall rest =
        whole.with("save", folder.resolve("rest")).with("load", checkpoint(whole, 4));
    trained(rest);
    assertThat(templateTime(checkpoint(rest, 8))).isEqualTo(templateTime(checkpoint(whole, 4)));
  }

  private static String templateTime(Path checkpoint) throws IOException {
    String state = Files.readString(checkpoint.resolve("state/trainer_state.json"));
    Matcher time = Pattern.compile("\"template_time\" : \"([^\"]+)\"").matcher(state);
    assertThat(time.find()).isTrue();
    return time.group(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.safetensors", "state/optimizer.safetensors", "config.json"})
  void aFlippedBitSendsTheRunBackToTheCheckpointBefore(String file) {
    TrainingCall whole = into("whole").with("save_interval", 2);
    trained(whole);
    RunFiles.flipBit(checkpoint(whole, 8).resolve(file));

    assertGoesBackToSix(whole, file);
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.safetensors", "state/trainer_state.json", "manifest.json"})
  void aTornFileSendsTheRunBackToTheCheckpointBefore(String file) {
    TrainingCall whole = into("whole").with("save_interval", 2);
    trained(whole);
    RunFiles.tear(checkpoint(whole, 8).resolve(file));

    assertGoesBackToSix(whole, file.equals("manifest.json") ? "manifest" : file);
  }

  private void assertGoesBackToSix(TrainingCall whole, String file) {
    TrainingCall rest = whole.with("save", folder.resolve("rest")).with("load", whole.save());

    InProcess.Result result = trained(rest);

    List<String> warnings = result.out().lines().filter(line -> line.contains("damaged")).toList();
    assertThat(warnings).hasSize(1);
    assertThat(warnings.getFirst()).contains("checkpoint-8", file, "checkpoint-6 is used instead");
    assertThat(result.out()).contains("at iteration 6");
    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 7));
  }

  /** The same command line again, in its own folder, after the newest checkpoint was damaged. */
  @Test
  void aRunThatContinuesInItsOwnFolderReplacesADamagedCheckpoint() {
    TrainingCall whole = into("whole").with("save_interval", 2);
    trained(whole);
    Map<Integer, String> rows = RunFiles.log(whole.save());
    RunFiles.flipBit(checkpoint(whole, 8).resolve("model.safetensors"));

    trained(whole.with("load", whole.save()));
    // A replaced checkpoint that waits aside, as a kill between two renames leaves it.
    try {
      Files.move(checkpoint(whole, 8), whole.save().resolve(".checkpoint-8.old"));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    InProcess.Result last = trained(whole.with("load", whole.save()));

    assertThat(last.out()).contains("Nothing to train: iteration 8 is the last");
    assertThat(RunFiles.log(whole.save())).isEqualTo(rows);
    assertThat(checkpoint(whole, 8)).isDirectory();
  }

  @Test
  void aMissingCheckpointStartsFromTheModelWhereThatIsAllowed() {
    TrainingCall whole = into("whole");
    trained(whole);
    TrainingCall again =
        into("again")
            .with("load", folder.resolve("gone"))
            .with("exit_on_missing_checkpoint", false);

    InProcess.Result result = trained(again);

    assertThat(result.out()).contains("gone is not a folder", "Starting from --model instead");
    assertThat(RunFiles.log(again.save())).isEqualTo(RunFiles.log(whole.save()));
  }

  private TrainingCall into(String name) {
    return TrainingCall.into(folder.resolve(name));
  }

  private static TrainingCall dropping(TrainingCall call) {
    return call.with("hidden_dropout", 0.2).with("attention_dropout", 0.1);
  }

  private static Path checkpoint(TrainingCall call, int iteration) {
    return call.save().resolve("checkpoint-" + iteration);
  }

  private static InProcess.Result trained(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.err()).isEmpty();
    assertThat(result.status()).isZero();
    return result;
  }

  private static void assertMistake(TrainingCall call, String... phrases) {
    InProcess.Result result = call.run();
    assertThat(result.status()).as(result.err()).isEqualTo(2);
    assertThat(result.err().lines()).hasSize(1);
    assertThat(result.err()).contains(phrases);
    assertThat(Fixture.files(call.save())).as("left in --save").isEmpty();
  }
}
