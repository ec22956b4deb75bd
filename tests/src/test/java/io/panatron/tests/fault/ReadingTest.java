package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs that read their data in the less common ways, from the command line to the checkpoint. */
class ReadingTest {
  @TempDir Path folder;

  private static TrainingCall with(TrainingCall call, String options) {
    TrainingCall changed = call;
    for (String option : options.split(",", -1)) {
      int at = option.indexOf('=');
      changed = changed.with(option.substring(0, at), option.substring(at + 1));
    }
    return changed;
  }

  private static InProcess.Result trained(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.status()).as(result.err()).isZero();
    return result;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "packing=true,max_length=300,global_batch_size=2",
        "group_by_length=true,micro_batch_size=2",
        "load_from_cache_file=true",
        "streaming=true,shuffle_buffer_size=5",
        "streaming=true,packing=true,max_length=300,packing_length=400,global_batch_size=2",
      })
  void aResumedRunEqualsAnUninterruptedOne(String options) {
    TrainingCall whole =
        with(TrainingCall.into(folder.resolve("whole")).with("save_interval", 4), options);
    trained(whole);
    TrainingCall rest =
        whole
            .with("save", folder.resolve("rest"))
            .with("load", whole.save().resolve("checkpoint-4"));

    assertThat(trained(rest).out()).contains("at iteration 4");

    Map<Integer, String> rows = RunFiles.log(rest.save());
    assertThat(rows).isEqualTo(RunFiles.logFrom(whole.save(), 5)).hasSize(4);
    RunFiles.assertSameState(
        rest.save().resolve("checkpoint-8"), whole.save().resolve("checkpoint-8"));
  }

  @Test
  void tokensFromTheCacheTrainAsTokensMadeDuringTraining() throws IOException {
    TrainingCall lazy = TrainingCall.into(folder.resolve("lazy"));
    TrainingCall cached =
        TrainingCall.into(folder.resolve("cached"))
            .with("load_from_cache_file", true)
            .with("token_cache", folder.resolve("tokens"));
    trained(lazy);
    assertThat(trained(cached).out()).contains("of 1 file made, of 0 reused");
    assertThat(RunFiles.log(cached.save())).isEqualTo(RunFiles.log(lazy.save()));

    TrainingCall again = cached.with("save", folder.resolve("again"));
    assertThat(trained(again).out()).contains("of 0 files made, of 1 reused");
    assertThat(RunFiles.log(again.save())).isEqualTo(RunFiles.log(lazy.save()));

    TrainingCall alone =
        TrainingCall.into(folder.resolve("alone"))
            .without("dataset")
            .with("cached_dataset", folder.resolve("tokens"));
    trained(alone);
    assertThat(RunFiles.log(alone.save())).isEqualTo(RunFiles.log(lazy.save()));
  }

  @Test
  void streamedDataEndTheRunAfterTheirLastEpoch() throws IOException {
    TrainingCall call =
        TrainingCall.into(folder.resolve("run"))
            .with("streaming", true)
            .with("max_epochs", 1)
            .with("train_iters", 100)
            .with("val_dataset", Fixture.rows());
    InProcess.Result result = trained(call);
    assertThat(result.out()).contains("Trained 4 iterations");
    assertThat(Files.isDirectory(call.save().resolve("checkpoint-4"))).isTrue();
    assertThat(Files.readString(call.save().resolve("logging.jsonl"))).contains("\"eval_");
  }

  @Test
  void dataOfSeveralFormatsAreMixedAndWhatIsLeftOutIsSummedUp() throws IOException {
    Path csv =
        Files.writeString(
            folder.resolve("a.csv"), "question,answer\nWhat?,\"That, and\nthis.\"\nNo answer?,\n");
    TrainingCall call =
        TrainingCall.into(folder.resolve("run"))
            .with("train_iters", 1)
            .with("lr_warmup_iters", 0)
            .with("dataset", csv)
            .with("global_batch_size", 1);
    InProcess.Result result = trained(call);
    assertThat(result.out())
        .contains("Left out          1 row:")
        .contains("1 row without the columns of a sample:")
        .contains(csv + ":4 has no column 'messages', nor 'query' and 'response'");
  }
}
