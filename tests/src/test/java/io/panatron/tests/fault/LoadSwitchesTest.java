package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * All combinations of the switches that decide what a run takes over. What it took is read off what
 * it leaves: three runs whose ends differ in every byte of the optimizer's state are the measure.
 */
class LoadSwitchesTest {
  private static final int SAVED_AT = 2;
  private static final int END = 3;

  /** Seed of the run that saved; the runs that load have another. */
  private static final int SEED = 5;

  @TempDir static Path shared;

  /** Never interrupted: what a run that takes over everything must come to. */
  private static Path resumed;

  /** From the checkpoint's weights at its iteration, with a new optimizer. */
  private static Path newOptimizer;

  /** From the checkpoint's weights at iteration 0, which as F32 are a model like any other. */
  private static Path startedOver;

  /** What a checkpoint was saved without. */
  private record Saved(boolean optimizer, boolean randomState) {
    Path folder() {
      return shared.resolve("saved-%s-%s".formatted(optimizer, randomState));
    }

    Path checkpoint() {
      return folder().resolve("checkpoint-" + SAVED_AT);
    }
  }

  private record Switches(
      Saved saved,
      boolean runFolder,
      boolean model,
      boolean finetune,
      boolean noLoadOptim,
      boolean noLoadRng,
      boolean exitOnMissing) {}

  @BeforeAll
  static void trainWhatIsLoaded() {
    for (Saved saved : savings()) {
      TrainingCall call =
          base("whole-%s-%s".formatted(saved.optimizer, saved.randomState))
              .with("save", saved.folder())
              .with("save_interval", 1)
              .with("seed", SEED)
              .with("no_save_optim", !saved.optimizer)
              .with("no_save_rng", !saved.randomState);
      succeeds(call);
      // Only the one to be loaded stays.
      for (int iteration : new int[] {1, END}) {
        Path other = saved.folder().resolve("checkpoint-" + iteration);
        assertThat(saved.folder().resolve("checkpoint-" + iteration)).isDirectory();
        rename(
            other,
            shared.resolve(
                "kept-%s-%s-%d".formatted(saved.optimizer, saved.randomState, iteration)));
      }
    }
    resumed = shared.resolve("kept-true-true-" + END);
    Path weights = new Saved(true, true).checkpoint();
    newOptimizer = end(base("new-optimizer").with("load", weights).with("no_load_optim", true));
    startedOver = end(base("started-over").with("model", weights));
    Set<String> different = new TreeSet<>();
    for (Path outcome : List.of(resumed, newOptimizer, startedOver)) {
      different.add(fingerprint(outcome));
    }
    assertThat(different).as("the measures differ").hasSize(3);
  }

  private static List<Saved> savings() {
    return List.of(
        new Saved(true, true),
        new Saved(true, false),
        new Saved(false, true),
        new Saved(false, false));
  }

  /** 4 ways of saving, 2 ways of naming the checkpoint, 5 switches. */
  static Stream<Switches> combinations() {
    return savings().stream()
        .flatMap(saved ->
            IntStream.range(0, 64)
                .mapToObj(bits ->
                    new Switches(
                        saved,
                        bit(bits, 0),
                        bit(bits, 1),
                        bit(bits, 2),
                        bit(bits, 3),
                        bit(bits, 4),
                        bit(bits, 5))))
        // How the checkpoint is named concerns one that is complete.
        .filter(s ->
            (s.saved.optimizer && s.saved.randomState)
                || (s.runFolder && s.model && s.exitOnMissing));
  }

  private static boolean bit(int bits, int place) {
    return (bits >> place & 1) == 1;
  }

  @ParameterizedTest
  @MethodSource("combinations")
  void aRunTakesOverWhatTheSwitchesSay(Switches s, @TempDir Path folder) {
    TrainingCall call =
        base("unused")
            .with("save", folder.resolve("run"))
            .with("seed", SEED + 1)
            .with("load", s.runFolder ? s.saved.folder() : s.saved.checkpoint())
            .with("finetune", s.finetune)
            .with("no_load_optim", s.noLoadOptim)
            .with("no_load_rng", s.noLoadRng)
            .with("exit_on_missing_checkpoint", s.exitOnMissing);
    call = s.model ? call : call.without("model");

    InProcess.Result result = call.run();

    if (!s.finetune && !s.noLoadOptim && !s.saved.optimizer) {
      refused(result, "no optimizer state", "--no_load_optim true");
      assertThat(call.save()).doesNotExist();
      return;
    }
    assertThat(result.status()).as(result.err()).isZero();
    Path expected = s.finetune ? startedOver : s.noLoadOptim ? newOptimizer : resumed;
    assertSameTensors(call.save().resolve("checkpoint-" + END), expected);
    assertThat(RunFiles.log(call.save()).keySet())
        .containsExactlyElementsOf(
            IntStream.rangeClosed(s.finetune ? 1 : SAVED_AT + 1, END).boxed().toList());
    assertThat(result.out())
        .contains(
            s.finetune
                ? "starting at iteration 0"
                : "at iteration %d, %d samples consumed".formatted(SAVED_AT, 4 * SAVED_AT));
    boolean compared = !s.finetune && !s.noLoadRng && s.saved.randomState;
    assertThat(result.out().contains("made with --seed")).isEqualTo(compared);
  }

  @Test
  void allCombinationsOfSwitchesOccur() {
    Set<String> occurring = new TreeSet<>();
    combinations()
        .forEach(s ->
            occurring.add(
                "%s %s %s %s".formatted(s.saved, s.finetune, s.noLoadOptim, s.noLoadRng)));
    assertThat(occurring).hasSize(4 * 8);
  }

  /** What is missing is an error, unless the user allows to start afresh and says from what. */
  static Stream<List<String>> missing() {
    List<List<String>> combinations = new ArrayList<>();
    for (String load : List.of("gone", "empty", "other-runs", "damaged")) {
      for (String model : List.of("model", "no model")) {
        for (String exit : List.of("true", "false")) {
          combinations.add(List.of(load, model, exit));
        }
      }
    }
    return combinations.stream();
  }

  @ParameterizedTest
  @MethodSource("missing")
  void aMissingCheckpointIsNotPassedOverUnasked(List<String> combination, @TempDir Path folder)
      throws IOException {
    Path load = folder.resolve(combination.getFirst());
    boolean model = combination.get(1).equals("model");
    boolean exit = Boolean.parseBoolean(combination.get(2));
    boolean damaged = combination.getFirst().equals("damaged");
    switch (combination.getFirst()) {
      case "empty" -> Files.createDirectories(load);
      case "other-runs" -> Files.createDirectories(load.resolve("v0-20260102-030405"));
      case "damaged" -> Files.createDirectories(load.resolve("checkpoint-2"));
      default -> assertThat(load).doesNotExist();
    }
    TrainingCall call =
        base("unused")
            .with("save", folder.resolve("run"))
            .with("load", load)
            .with("exit_on_missing_checkpoint", exit);
    call = model ? call : call.without("model");

    InProcess.Result result = call.run();

    if (exit || !model || damaged) {
      refused(result, "--load " + load, damaged ? "no good checkpoint" : load.toString());
      assertThat(call.save()).doesNotExist();
    } else {
      assertThat(result.status()).as(result.err()).isZero();
      assertThat(result.out()).contains("Starting from --model instead");
      assertThat(RunFiles.log(call.save()).keySet()).containsExactly(1, 2, END);
      assertSameTensors(call.save().resolve("checkpoint-" + END), resumed);
    }
  }

  /** {@code --model} gives weights, and the state of a checkpoint only to who asks for both. */
  static Stream<List<String>> modelFolders() {
    List<List<String>> combinations = new ArrayList<>();
    for (String model : List.of("checkpoint", "plain")) {
      for (String optim : List.of("unset", "false", "true")) {
        for (String rng : List.of("unset", "false", "true")) {
          combinations.add(List.of(model, optim, rng));
        }
      }
    }
    return combinations.stream();
  }

  @ParameterizedTest
  @MethodSource("modelFolders")
  void aModelThatIsACheckpointGoesOnIfAskedTo(List<String> combination, @TempDir Path folder) {
    boolean checkpoint = combination.getFirst().equals("checkpoint");
    TrainingCall call =
        base("unused")
            .with("save", folder.resolve("run"))
            .with("model", checkpoint ? new Saved(true, true).checkpoint() : Fixture.model());
    String[] names = {"no_load_optim", "no_load_rng"};
    for (int i = 0; i < names.length; i++) {
      String value = combination.get(i + 1);
      call = value.equals("unset") ? call : call.with(names[i], value);
    }

    Path outcome = end(call);

    boolean asked = combination.subList(1, 3).equals(List.of("false", "false"));
    assertSameTensors(outcome, checkpoint && !asked ? startedOver : resumed);
    assertThat(RunFiles.log(call.save())).hasSize(checkpoint && asked ? END - SAVED_AT : END);
  }

  @Test
  void theStateOfAnotherOptimizerIsRefused(@TempDir Path folder) {
    TrainingCall call =
        base("unused")
            .with("save", folder.resolve("run"))
            .with("load", new Saved(true, true).checkpoint())
            .with("optimizer", "sgd");
    refused(call.run(), "--optimizer adam", "momentum_buffer", "--no_load_optim true");
    succeeds(call.with("no_load_optim", true));
  }

  /** The exact weights of an F32 checkpoint go on as main parameters of a BF16 run. */
  @Test
  void anotherDtypeStartsFromTheExactWeights(@TempDir Path folder) throws IOException {
    TrainingCall call =
        base("unused")
            .with("save", folder.resolve("run"))
            .with("load", new Saved(true, true).checkpoint())
            .with("torch_dtype", "bfloat16")
            .with("lr", 0)
            .with("min_lr", 0)
            .with("weight_decay", 0);
    succeeds(call);
    assertThat(
            Files.mismatch(
                call.save().resolve("checkpoint-" + END).resolve("state/parameters.safetensors"),
                new Saved(true, true).checkpoint().resolve("model.safetensors")))
        .isEqualTo(-1);
  }

  private static TrainingCall base(String name) {
    return TrainingCall.into(shared.resolve(name))
        .with("train_iters", END)
        .with("save_interval", END)
        .with("lr_warmup_iters", 0)
        .with("num_workers", 0);
  }

  private static Path end(TrainingCall call) {
    succeeds(call);
    return call.save().resolve("checkpoint-" + END);
  }

  private static void succeeds(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.status()).as(result.err()).isZero();
  }

  private static void refused(InProcess.Result result, String... phrases) {
    assertThat(result.status()).as(result.err()).isEqualTo(2);
    assertThat(result.err().lines()).as(result.err()).hasSize(1);
    assertThat(result.err()).contains(phrases);
  }

  /** What was trained; the state beside it names the seed, too, in which the runs differ. */
  private static void assertSameTensors(Path checkpoint, Path expected) {
    for (String file : List.of("model.safetensors", "state/optimizer.safetensors")) {
      try {
        assertThat(Files.mismatch(checkpoint.resolve(file), expected.resolve(file)))
            .as("first byte of %s in %s that differs from %s", file, checkpoint, expected)
            .isEqualTo(-1);
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }

  private static void rename(Path from, Path to) {
    try {
      Files.move(from, to);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static String fingerprint(Path checkpoint) {
    try {
      java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
      crc.update(Files.readAllBytes(checkpoint.resolve("state/optimizer.safetensors")));
      return Long.toHexString(crc.getValue());
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
