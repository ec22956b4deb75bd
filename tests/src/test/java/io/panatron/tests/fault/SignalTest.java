package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** SIGTERM ends a run early but cleanly: it saves, and goes on later as if nothing was. */
class SignalTest {
  private static final int ITERATIONS = 2000;

  @Test
  void aTerminatedRunSavesAndResumesToTheSameBits(@TempDir(factory = BuildFolder.class) Path folder)
      throws InterruptedException {
    terminated(folder, false);
  }

  /** The signal comes while the first checkpoint is written: that one and one more are kept. */
  @Test
  void aRunTerminatedInsideAnAsynchronousSaveFinishesIt(
      @TempDir(factory = BuildFolder.class) Path folder) throws InterruptedException {
    terminated(folder, true);

    assertThat(folder.resolve("run/checkpoint-20")).isDirectory();
  }

  private static void terminated(Path folder, boolean async) throws InterruptedException {
    // The rate of an iteration depends on none that follow, so that few of them need to be run.
    TrainingCall call =
        TrainingCall.into(folder.resolve("run"))
            .with("train_iters", ITERATIONS)
            .with("lr_decay_style", "constant")
            .with("save_interval", async ? 20 : ITERATIONS)
            .with("async_save", async);
    String output;
    int status;
    try (TrainerProcess process = TrainerProcess.start(call, folder.resolve("output.txt"))) {
      if (async) {
        process.awaitFile(name -> name.endsWith(".tmp") && name.startsWith(".checkpoint"));
      } else {
        process.awaitFile("logging.jsonl"::equals);
        process.awaitMillis(1000);
      }
      process.terminate();
      status = process.awaitEnd();
      output = process.output();
    }

    assertThat(status).as(output).isEqualTo(128 + 15);
    assertThat(output).contains("Stopped at iteration");
    Map<Integer, String> rows = RunFiles.log(call.save());
    int stopped = rows.size();
    assertThat(stopped).isBetween(1, ITERATIONS - 1);
    assertThat(call.save().resolve("checkpoint-" + stopped)).isDirectory();
    assertThat(Fixture.files(call.save()))
        .noneMatch(file -> file.getFileName().toString().matches("\\..*\\.(tmp|old|deleted)"));
    int end = stopped + 3;
    TrainingCall rest =
        call.with("load", call.save())
            .with("save", folder.resolve("rest"))
            .with("train_iters", end);
    TrainingCall whole =
        call.with("save", folder.resolve("whole"))
            .with("train_iters", end)
            .with("save_interval", end);
    assertThat(rest.run().status()).isZero();
    assertThat(whole.run().status()).isZero();
    Map<Integer, String> both = new TreeMap<>(rows);
    both.putAll(RunFiles.log(rest.save()));
    assertThat(both.keySet())
        .containsExactlyElementsOf(IntStream.rangeClosed(1, end).boxed().toList());
    assertThat(both).isEqualTo(RunFiles.log(whole.save()));
    String last = "checkpoint-" + end;
    RunFiles.assertSameState(rest.save().resolve(last), whole.save().resolve(last));
  }
}
