package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Kills training processes at random instants, resumes them with the same command line, and
 * compares what they log and leave with a run that nobody disturbed.
 *
 * <p>Six kills, or as many as the environment variable {@code PANATRON_KILLS} says; {@code
 * PANATRON_KILL_SEED} chooses other instants. Checkpoints go to the build folder, which unlike the
 * system's temporary folder lies on a disk.
 */
class KillAndResumeTest {
  private static final int ITERATIONS = 10;
  private static final Pattern RESUMED = Pattern.compile("at iteration (\\d+), \\d+ samples");
  private static final Pattern COMMITTED = Pattern.compile("checkpoint-(\\d+)");

  /** What a writer has under way, and what a dead one leaves. */
  private static final Pattern UNFINISHED =
      Pattern.compile("\\.checkpoint-\\d+\\.(tmp|old|deleted)|\\.latest_checkpointed.*\\.tmp");

  private int kills;
  private int insideSave;
  private int rounds;
  private double saveMillis = 100;

  @Test
  void everyResumedRunEqualsAnUndisturbedOne(@TempDir(factory = BuildFolder.class) Path folder)
      throws IOException, InterruptedException {
    killAndResume(folder, false);
  }

  /**
   * The undisturbed run saves before its next step, so both ways of saving are compared as well.
   */
  @Test
  void nothingIsLostWhereSavesGoOnBesideTraining(@TempDir(factory = BuildFolder.class) Path folder)
      throws IOException, InterruptedException {
    killAndResume(folder, true);
  }

  private void killAndResume(Path folder, boolean async) throws IOException, InterruptedException {
    int wanted = number("PANATRON_KILLS", 6);
    int wantedInside = Math.max(1, wanted * 2 / 5);
    int seed = number("PANATRON_KILL_SEED", 1);
    Random random = new Random(seed);
    Path model = Fixture.largerModel(folder.resolve("model"));
    TrainingCall undisturbed =
        call(model, folder.resolve("undisturbed")).with("save_interval", ITERATIONS);
    finish(undisturbed, folder);
    Map<Integer, String> rows = RunFiles.log(undisturbed.save());
    assertThat(rows).hasSize(ITERATIONS);

    while (kills < wanted || insideSave < wantedInside) {
      rounds++;
      TrainingCall call = call(model, folder.resolve("round-" + rounds)).with("async_save", async);
      Files.createDirectories(call.save());
      while ((kills < wanted || insideSave < wantedInside) && killed(call, folder, random)) {
        kills++;
        assertThat(kills).as("kills, while too few hit a save").isLessThan(10 * wanted);
      }
      finish(call, folder);
      assertThat(RunFiles.log(call.save())).as("round %d", rounds).isEqualTo(rows);
      RunFiles.assertSameState(last(call), last(undisturbed));
      assertThat(leftovers(call.save())).isFalse();
    }

    System.out.printf(
        Locale.ROOT,
        "Kills%s: %d, of them %d inside a save, over %d runs of %d iterations (seed %d)%n",
        async ? " with --async_save true" : "",
        kills,
        insideSave,
        rounds,
        ITERATIONS,
        seed);
  }

  /** Runs the call and kills it; false where it ended before. */
  private boolean killed(TrainingCall call, Path folder, Random random)
      throws InterruptedException {
    int committed = newest(call.save()).orElse(0);
    try (TrainerProcess process = TrainerProcess.start(call, folder.resolve("output.txt"))) {
      boolean aimed = random.nextInt(4) > 0;
      if (!aimed) {
        // Anywhere: while the virtual machine starts, loads, resumes, trains or saves.
        process.awaitMillis(random.nextDouble() * 5000);
      } else {
        int saves = 1 + random.nextInt(2);
        for (int i = 0; i < saves; i++) {
          process.awaitFile(name -> name.endsWith(".tmp") && name.startsWith(".checkpoint"));
        }
        process.awaitMillis(random.nextDouble() * saveMillis);
      }
      boolean killed = process.kill();
      assertResumedFromTheNewest(process, committed);
      boolean inside = killed && leftovers(call.save());
      insideSave += inside ? 1 : 0;
      if (aimed) {
        // Later instants of a save are tried as long as they still lie in it.
        saveMillis *= inside ? 1.1 : 0.8;
      }
      return killed;
    }
  }

  private void finish(TrainingCall call, Path folder) throws InterruptedException {
    int committed = newest(call.save()).orElse(0);
    try (TrainerProcess process = TrainerProcess.start(call, folder.resolve("output.txt"))) {
      int status = process.awaitEnd();
      assertThat(status).as(process.output()).isZero();
      assertThat(process.output()).doesNotContain("damaged");
      assertResumedFromTheNewest(process, committed);
    }
  }

  /** No kill costs more than the steps since the last save: what was committed is found again. */
  private static void assertResumedFromTheNewest(TrainerProcess process, int committed) {
    Matcher resumed = RESUMED.matcher(process.output());
    if (resumed.find()) {
      assertThat(Integer.parseInt(resumed.group(1))).isEqualTo(committed);
    } else if (committed > 0) {
      assertThat(process.output()).doesNotContain("Starting from --model instead");
    }
  }

  private static OptionalInt newest(Path save) {
    return Fixture.files(save).stream()
        .map(file -> COMMITTED.matcher(file.getFileName().toString()))
        .filter(Matcher::matches)
        .mapToInt(matcher -> Integer.parseInt(matcher.group(1)))
        .max();
  }

  private static boolean leftovers(Path save) {
    return Fixture.files(save).stream()
        .anyMatch(file -> UNFINISHED.matcher(file.getFileName().toString()).matches());
  }

  private static Path last(TrainingCall call) {
    return call.save().resolve("checkpoint-" + ITERATIONS);
  }

  /** The same command line at every start: it goes on where its folder stands. */
  private static TrainingCall call(Path model, Path save) {
    return TrainingCall.into(save)
        .with("model", model)
        .with("torch_dtype", "bfloat16")
        .with("load", save)
        .with("exit_on_missing_checkpoint", false)
        .with("train_iters", ITERATIONS)
        .with("global_batch_size", 2)
        .with("save_interval", 1)
        .with("save_retain_interval", ITERATIONS)
        .with("num_workers", 1);
  }

  private static int number(String variable, int absent) {
    String text = System.getenv(variable);
    return text == null ? absent : Integer.parseInt(text);
  }
}
