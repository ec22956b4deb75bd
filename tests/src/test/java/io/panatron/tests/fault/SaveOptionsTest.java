package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** When checkpoints are made, which of them stay, and how large their files are. */
class SaveOptionsTest {
  private static final Pattern CHECKPOINT = Pattern.compile("checkpoint-(\\d+)");

  @TempDir Path folder;

  /** 16 rows in batches of 4: an epoch is 4 iterations. */
  @Test
  void epochsAreSavedAndEvaluated() throws IOException {
    TrainingCall call =
        epochs("epochs").with("val_dataset", Fixture.rows()).with("save_interval", 7);

    InProcess.Result result = trained(call);

    assertThat(checkpoints(call)).containsExactly(4, 8, 12);
    assertThat(result.out())
        .contains("every 4 iterations, which are an epoch, and at the end")
        .contains("Note: --save_interval 7 has no effect, since --save_strategy epoch");
    assertThat(Files.readAllLines(call.save().resolve("logging.jsonl")))
        .filteredOn(row -> row.contains("eval_loss"))
        .hasSize(3)
        .allMatch(row -> row.matches(".*\"iteration\" ?: ?\"(4|8|12)/12\".*"));
    JsonNode arguments =
        new ObjectMapper().readTree(call.save().resolve("checkpoint-12/args.json").toFile());
    assertThat(arguments.path("save_interval").asInt()).isEqualTo(1);
    assertThat(arguments.path("eval_interval").asInt()).isEqualTo(1);
    assertThat(arguments.path("save_strategy").asText()).isEqualTo("epoch");
  }

  @Test
  void theRetainIntervalThenCountsEpochs() {
    TrainingCall call = epochs("epochs").with("save_retain_interval", 2);
    trained(call);
    assertThat(checkpoints(call)).containsExactly(8, 12);
  }

  @Test
  void epochsGoOnWhereTheyStoodAfterAResume() {
    TrainingCall whole = epochs("whole");
    trained(whole);
    TrainingCall first = epochs("first").with("max_epochs", 2).with("lr_decay_iters", 12);
    trained(first);
    TrainingCall rest = whole.with("save", folder.resolve("rest")).with("load", first.save());

    InProcess.Result result = trained(rest);

    assertThat(result.out()).contains("at iteration 8, 32 samples consumed");
    assertThat(checkpoints(rest)).containsExactly(12);
    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 9));
    RunFiles.assertSameState(
        rest.save().resolve("checkpoint-12"), whole.save().resolve("checkpoint-12"));
  }

  @Test
  void anEpochThatFillsNoBatchIsRefused() {
    InProcess.Result result =
        epochs("short")
            .without("max_epochs")
            .with("global_batch_size", 32)
            .with("train_iters", 3)
            .run();
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err().lines()).hasSize(1);
    assertThat(result.err()).contains("--save_strategy epoch", "--global_batch_size of 32");
    assertThat(folder.resolve("short")).doesNotExist();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theNewestStayAndSoDoesTheOneResumedFrom(boolean async) {
    TrainingCall call =
        TrainingCall.into(folder.resolve("run"))
            .with("save_interval", 2)
            .with("save_total_limit", 2)
            .with("async_save", async);
    trained(call);
    assertThat(checkpoints(call)).containsExactly(6, 8);

    TrainingCall rest = call.with("load", call.save().resolve("checkpoint-6"));
    trained(rest.with("train_iters", 14).with("save_total_limit", 1));
    assertThat(checkpoints(call)).containsExactly(6, 14);

    trained(call.with("load", call.save()).with("train_iters", 16));
    assertThat(checkpoints(call)).containsExactly(14, 16);
  }

  /** A run that starts over in the folder it loads from would write over its own source. */
  @Test
  void theSourceOfFinetuningIsNotWrittenOver() {
    TrainingCall call = TrainingCall.into(folder.resolve("run"));
    trained(call);

    InProcess.Result result = call.with("load", call.save()).with("finetune", true).run();

    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err().lines()).hasSize(1);
    assertThat(result.err()).contains("--finetune true", "another --save");
    assertThat(checkpoints(call)).containsExactly(8);
  }

  @Test
  void shardsAreIndexedAndResumed() throws IOException {
    TrainingCall whole =
        TrainingCall.into(folder.resolve("whole"))
            .with("save_interval", 4)
            .with("max_shard_size", "100KB");
    trained(whole);
    Path checkpoint = whole.save().resolve("checkpoint-4");
    JsonNode index =
        new ObjectMapper().readTree(checkpoint.resolve("model.safetensors.index.json").toFile());
    List<String> shards =
        Fixture.files(checkpoint).stream()
            .map(file -> file.getFileName().toString())
            .filter(name -> name.startsWith("model-"))
            .toList();
    assertThat(shards).hasSizeGreaterThan(2);
    assertThat(index.path("weight_map"))
        .allMatch(shard -> shards.contains(shard.asText()))
        .hasSizeGreaterThan(shards.size());

    TrainingCall rest = whole.with("save", folder.resolve("rest")).with("load", checkpoint);
    trained(rest.with("max_shard_size", "5GB"));

    assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5));
  }

  private TrainingCall epochs(String name) {
    return TrainingCall.into(folder.resolve(name))
        .without("train_iters")
        .with("max_epochs", 3)
        .with("save_strategy", "epoch")
        .without("save_interval");
  }

  private static InProcess.Result trained(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.status()).as(result.err()).isZero();
    return result;
  }

  private static List<Integer> checkpoints(TrainingCall call) {
    return Fixture.files(call.save()).stream()
        .map(file -> CHECKPOINT.matcher(file.getFileName().toString()))
        .filter(java.util.regex.Matcher::matches)
        .map(matcher -> Integer.valueOf(matcher.group(1)))
        .sorted()
        .toList();
  }
}
