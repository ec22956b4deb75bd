package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.cli.InProcess;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whole runs that recompute: the files they leave, and the memory they say they take. */
class RecomputeRunTest {
  private static final Pattern PLANNED = Pattern.compile("Activations +at most ([\\d.]+) MiB");
  private static final Pattern TAKEN =
      Pattern.compile(
          "([\\d.]+) MiB were taken by the largest micro-batch .* of which ([\\d.]+) MiB were");

  @TempDir Path folder;

  private TrainingCall call(String name) {
    return TrainingCall.into(folder.resolve(name)).with("save_interval", 4);
  }

  private static TrainingCall full(TrainingCall call) {
    return call.with("recompute_granularity", "full")
        .with("recompute_method", "uniform")
        .with("recompute_num_layers", 1);
  }

  private static double figure(Pattern pattern, int group, String text) {
    Matcher matcher = pattern.matcher(text);
    assertThat(matcher.find()).as(text).isTrue();
    return Double.parseDouble(matcher.group(group));
  }

  @Test
  void aRunThatRecomputesLeavesTheSameFilesAndSaysWhatItSaves() {
    TrainingCall none = call("none").with("recompute_granularity", "none");
    TrainingCall full = full(call("full"));
    InProcess.Result all = none.run();
    InProcess.Result less = full.run();

    assertThat(less.err()).isEmpty();
    assertThat(less.status()).isZero();
    assertThat(RunFiles.log(full.save())).isEqualTo(RunFiles.log(none.save()));
    RunFiles.assertSameState(
        full.save().resolve("checkpoint-8"), none.save().resolve("checkpoint-8"));
    assertThat(less.out()).contains("recomputing 3 layers in units of 1");
    assertThat(figure(PLANNED, 1, less.out())).isLessThan(0.6 * figure(PLANNED, 1, all.out()));
    for (InProcess.Result result : new InProcess.Result[] {all, less}) {
      double taken = figure(TAKEN, 1, result.out());
      assertThat(taken)
          .isGreaterThanOrEqualTo(figure(TAKEN, 2, result.out()))
          .isLessThan(figure(PLANNED, 1, result.out()));
    }
  }

  /** Another plan changes no bit, so a run may go on under it. */
  @Test
  void aRunGoesOnUnderAnotherPlan() {
    TrainingCall whole = call("whole").with("recompute_granularity", "none");
    assertThat(whole.run().status()).isZero();
    TrainingCall first =
        call("first").with("recompute_modules", "[\"mlp\", \"layernorm\", \"core_attn\"]");
    assertThat(first.run().status()).isZero();
    TrainingCall rest = full(call("rest")).with("load", first.save().resolve("checkpoint-4"));
    assertThat(rest.run().status()).isZero();
    RunFiles.assertSameState(
        rest.save().resolve("checkpoint-8"), whole.save().resolve("checkpoint-8"));
    assertThat(RunFiles.logFrom(rest.save(), 5)).isEqualTo(RunFiles.logFrom(whole.save(), 5));
  }
}
