package io.panatron.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ParsedArguments;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CommandLineTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final List<ParsedArguments> runs = new ArrayList<>();

  private int trainer(TrainingRun training, String... args) {
    return new TrainerCommandLine(training, List.of(), new PrintWriter(out), new PrintWriter(err))
        .execute(args);
  }

  private int trainer(String... args) {
    return trainer(
        (arguments, writer) -> {
          runs.add(arguments);
          return 0;
        },
        args);
  }

  private int sft(String line) {
    return trainer(("sft --model m --dataset d.jsonl --train_iters 8 " + line).strip().split(" "));
  }

  @Test
  void theReferenceCommandLineRuns() {
    int status =
        trainer(
            ("sft --model model --dataset train.jsonl --template chatml --tuner_type full --torch_dtype float32 --fp16 false"
                    + " --bf16 false --attention_backend unfused --micro_batch_size 1 --global_batch_size 4"
                    + " --train_iters 8 --dataset_shuffle false --train_dataloader_shuffle false --lr 1e-3 --min_lr 1e-4"
                    + " --lr_warmup_iters 2 --lr_decay_style cosine --weight_decay 0.1 --adam_beta1 0.9 --adam_beta2 0.95"
                    + " --adam_eps 1e-8 --clip_grad 1.0 --calculate_per_token_loss true --moe_aux_loss_coeff 0"
                    + " --moe_router_bias_update_rate 0 --log_interval 1 --split_dataset_ratio 0")
                .split(" "));
    assertThat(err.toString()).isEmpty();
    assertThat(status).isZero();
    ParsedArguments arguments = runs.getFirst();
    assertThat(arguments.command()).isEqualTo("sft");
    assertThat(arguments.number("lr")).isEqualTo(1e-3);
    assertThat(arguments.flag("dataset_shuffle")).isFalse();
    assertThat(arguments.integer("lr_warmup_iters")).isEqualTo(2);
    assertThat(arguments.text("save")).isEqualTo("megatron_output/model");
    assertThat(out.toString())
        .contains("Defaults without effect yet:", "attention_backend: one attention kernel");
  }

  @Test
  void valuesAreWrittenInSeveralWays() {
    assertThat(
            sft(
                "--eval_iters -1 --finetune --seed=7 --val_dataset a b --micro-batch-size 2 --lr 0.5"))
        .isZero();
    ParsedArguments arguments = runs.getFirst();
    assertThat(arguments.integer("eval_iters")).isEqualTo(-1);
    assertThat(arguments.flag("finetune")).isTrue();
    assertThat(arguments.integer("seed")).isEqualTo(7);
    assertThat(arguments.list("val_dataset")).containsExactly("a", "b");
    assertThat(arguments.integer("micro_batch_size")).isEqualTo(2);
  }

  @Test
  void anAttachedValueMayLookLikeAName() {
    assertThat(
            trainer(
                "sft",
                "--model=m",
                "--dataset=d",
                "--train_iters=1",
                "--system=--be-brief",
                "--save=a-b=c"))
        .isZero();
    assertThat(runs.getFirst().text("system")).isEqualTo("--be-brief");
    assertThat(runs.getFirst().text("save")).isEqualTo("a-b=c");
  }

  @Test
  void aValueMayHoldBlanksAndSigns() {
    assertThat(
            trainer(
                "sft",
                "--model",
                "@m",
                "--dataset",
                "d",
                "--train_iters",
                "1",
                "--system",
                "be ${x} 'brief' %s"))
        .isZero();
    assertThat(runs.getFirst().text("system")).isEqualTo("be ${x} 'brief' %s");
    assertThat(runs.getFirst().text("model")).isEqualTo("@m");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--max_lenght 3         | sft has no parameter --max_lenght (did you mean --max_length?)",
        "--max_lenght 3 --sed 1 | --max_lenght (did you mean --max_length?), --sed (did you mean --seed",
        "--lr 1 --lr 2          | --lr is given twice",
        "--save a --output_dir b| --save and --output_dir are the same parameter",
        "--lr 1 2               | '2' after --lr belongs to no parameter",
        "--lr                   | --lr needs a value (float, at least 0)",
        "--lr --seed 1          | --lr needs a value",
        "--beta 1               | --beta belongs to dpo, kto, grpo, gkd",
        "-lr 1                  | write --lr",
        "--bf16 perhaps         | --bf16 cannot be 'perhaps': it needs true or false",
        "--fp8_format hybrid    | --fp8_format hybrid is not supported yet",
        "--config none.yaml     | --config none.yaml does not exist",
      })
  void mistakesAreAnsweredInOneSentenceWithStatusTwo(String line, String sentence) {
    assertThat(sft(line)).isEqualTo(2);
    assertThat(err.toString()).contains(sentence).endsWith("." + System.lineSeparator());
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(runs).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"rlhf --rlhf_type dpo --model m", "rlhf"})
  void commandsThatDoNotWorkYetSaySo(String line) {
    assertThat(trainer(line.split(" "))).isEqualTo(2);
    assertThat(err.toString().strip())
        .isEqualTo("trainer rlhf is not supported yet; sft, pt and export are.");
  }

  @Test
  void anUnknownCommandIsAnsweredWithTheNearestOne() {
    assertThat(trainer("stf")).isEqualTo(2);
    assertThat(err.toString()).contains("trainer has no command 'stf' (did you mean sft?)");
    assertThat(trainer()).isEqualTo(2);
  }

  @Test
  void theFileHoldsAnyParameterAndTheCommandLineWins(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("c.yaml");
    Files.writeString(
        file,
        """
        model: m
        dataset: [a.jsonl, b.jsonl]
        train_iters: 3
        learning_rate_is_not_here: 1
        """);
    assertThat(trainer("sft", "--config", file.toString())).isEqualTo(2);
    assertThat(err.toString()).contains("sft has no parameter learning_rate_is_not_here", "c.yaml");

    Files.writeString(
        file,
        """
        model: m
        dataset: [a.jsonl, b.jsonl]
        train_iters: 3
        lr: 1e-3
        output_dir: out
        finetune: yes
        max_length: null
        recompute_granularity: none
        """);
    assertThat(trainer("sft", "--config", file.toString(), "--train_iters", "9", "--save", "x"))
        .isZero();
    ParsedArguments arguments = runs.getFirst();
    assertThat(arguments.list("dataset")).containsExactly("a.jsonl", "b.jsonl");
    assertThat(arguments.integer("train_iters")).isEqualTo(9);
    assertThat(arguments.number("lr")).isEqualTo(1e-3);
    assertThat(arguments.text("save")).isEqualTo("x");
    assertThat(arguments.flag("finetune")).isTrue();
    assertThat(arguments.value("max_length")).isNull();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a: [1            | is no valid YAML",
        "lr: 1\\nlr: 2    | is no valid YAML",
        "- lr             | is no YAML map",
        "config: b.yaml   | names a further config file",
        "lr: [1, 2]       | lr (in the --config file) cannot be '1 2': it takes one value",
        "lr: fast         | lr (in the --config file) cannot be 'fast'",
        "megatron_extra_kwargs: {a: 1} | megatron_extra_kwargs (in the --config file) {\"a\":1} is not supported yet",
      })
  void aBadFileIsAnsweredInOneSentence(String text, String sentence, @TempDir Path folder)
      throws IOException {
    Path file = folder.resolve("c.yaml");
    Files.writeString(file, text.strip().replace("\\n", "\n"));
    assertThat(trainer("sft", "--config", file.toString())).isEqualTo(2);
    assertThat(err.toString()).contains(sentence);
    assertThat(err.toString().lines()).hasSize(1);
  }

  @Test
  void aMistakeFoundDuringTheRunHasNoStackTraceUnlessDebugging() {
    TrainingRun failing =
        (arguments, writer) -> {
          throw new UserError("The model is no model.", new IOException("the cause"));
        };
    String[] args = {"sft", "--model", "m", "--dataset", "d", "--train_iters", "1"};
    assertThat(trainer(failing, args)).isEqualTo(2);
    assertThat(err.toString().strip()).isEqualTo("The model is no model.");

    List<String> debugging = new ArrayList<>(List.of(args));
    debugging.addAll(List.of("--logging_level", "debug"));
    assertThat(trainer(failing, debugging.toArray(String[]::new))).isEqualTo(2);
    assertThat(err.toString()).contains("IOException: the cause");
  }

  @Test
  void aFaultOfTheProgramIsReportedWithItsStackAndStatusOne() {
    int status =
        trainer(
            (arguments, writer) -> {
              throw new IllegalStateException("broken");
            },
            "sft",
            "--model",
            "m",
            "--dataset",
            "d",
            "--train_iters",
            "1");
    assertThat(status).isEqualTo(1);
    assertThat(err.toString())
        .contains("IllegalStateException: broken", "\tat ", "please report it");
  }

  @Test
  void theStatusOfTheRunIsTheStatusOfTheProgram() {
    String[] args = {"pt", "--model", "m", "--dataset", "d", "--train_iters", "1"};
    assertThat(trainer((arguments, writer) -> 143, args)).isEqualTo(143);
    int status =
        Main.run(new String[] {"sft", "--nonsense"}, new PrintWriter(out), new PrintWriter(err));
    assertThat(status).isEqualTo(2);
  }

  @Test
  void helpIsGroupedAndSaysTypeDefaultChoicesAndState() {
    assertThat(trainer("sft", "--help")).isZero();
    assertThat(out.toString().replaceAll(" +", " ").replaceAll("\\R (?!--)", " "))
        .contains(
            "Usage: trainer sft --model FOLDER",
            "\nLearning Rate\n",
            "--lr_decay_style <cosine|linear|constant> [cosine]",
            "--save, --output_dir <string> [None]",
            "(not supported yet beyond None: FP8 arithmetic needs a GPU)");
  }

  @Test
  void versionIsPrinted() {
    assertThat(trainer("--version")).isZero();
    assertThat(out.toString()).startsWith("trainer ");
  }
}
