package io.panatron.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.quickstart.QuickstartModel;
import io.panatron.runtime.quickstart.QuickstartRecipe;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The quickstart with a model too small, and trained too briefly, to learn anything. */
class QuickstartCommandTest {
  private static final QuickstartRecipe MINIATURE =
      new QuickstartRecipe(new QuickstartModel(16, 16, 1, 2, 1, 8), 12, 4, 2, 4, 3, 1, 1e-3);

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @TempDir private Path save;

  private int trainer(String... arguments) {
    TrainingRun training = new LocalTraining();
    return new TrainerCommandLine(
            training,
            List.of(
                new QuickstartCommand(training, MINIATURE),
                new GenerateCommand(InputStream.nullInputStream())),
            new PrintWriter(out),
            new PrintWriter(err))
        .execute(arguments);
  }

  private int quickstart() {
    return trainer("quickstart", "--save", save.toString(), "--seed", "5", "--device", "reference");
  }

  /** What was printed between a heading and the next empty line. */
  private String paragraphAfter(String heading) {
    String rest = out.toString();
    rest = rest.substring(rest.indexOf(heading) + heading.length());
    return rest.substring(0, rest.indexOf("\n\n")).strip();
  }

  private Path onlyRun() throws IOException {
    try (Stream<Path> runs = Files.list(save)) {
      return runs.toList().getFirst();
    }
  }

  @Test
  void aModelThatLearnedTooLittleFailsTheCommand() {
    assertThat(quickstart()).isEqualTo(ErrorReport.INTERNAL_FAILURE);
    assertThat(err.toString())
        .contains("of the held-out questions exactly, but 95 % are expected")
        .contains("seed 5");
  }

  @Test
  void itMeasuresBeforeAndAfterAndShowsFiveAnswersAndWhatIsNext() throws IOException {
    quickstart();
    assertThat(out.toString())
        .contains("Made 20 questions to train on and 6 others")
        .contains("Exact answers before training: 0.0 % (addition 0.0 %")
        .contains("Exact answers after training: ")
        .contains("./trainer generate --model " + onlyRun().resolve("run/checkpoint-3"));
    assertThat(paragraphAfter("key-value cache):").lines()).hasSize(5);
  }

  @Test
  void itLeavesTheFilesItNames() throws IOException {
    quickstart();
    assertThat(onlyRun())
        .isDirectoryContaining(file -> file.endsWith("train.jsonl"))
        .isDirectoryContaining(file -> file.endsWith("heldout.jsonl"));
    assertThat(onlyRun().resolve("model/tokenizer.json")).isRegularFile();
    assertThat(onlyRun().resolve("model/model.safetensors")).doesNotExist();
    assertThat(onlyRun().resolve("run/logging.jsonl")).isNotEmptyFile();
    assertThat(onlyRun().resolve("run/checkpoint-3/model.safetensors")).isNotEmptyFile();
    assertThat(onlyRun().resolve("run/checkpoint-3/tokenizer.json")).isNotEmptyFile();
  }

  @Test
  void aSecondQuickstartLeavesTheFirstAlone() throws IOException {
    quickstart();
    quickstart();
    try (Stream<Path> runs = Files.list(save)) {
      assertThat(runs.map(run -> run.getFileName().toString().substring(0, 3)))
          .containsExactlyInAnyOrder("v0-", "v1-");
    }
  }

  @Test
  void theCommandLineItPrintsTrainsTheSameModelAgain() throws IOException {
    quickstart();
    String printed = paragraphAfter("as this command does it:");
    List<String> words = List.of(printed.replace("\\\n", " ").split("\\s+", -1));
    assertThat(words.getFirst()).isEqualTo("./trainer");
    Path first = onlyRun();
    Path again = save.resolve("again");
    List<String> arguments =
        words.subList(1, words.size()).stream()
            .map(word -> word.equals(first.resolve("run").toString()) ? again.toString() : word)
            .toList();
    assertThat(arguments).contains(again.toString());
    assertThat(trainer(arguments.toArray(String[]::new))).isZero();
    assertThat(again.resolve("checkpoint-3/model.safetensors"))
        .hasSameBinaryContentAs(first.resolve("run/checkpoint-3/model.safetensors"));
  }

  @Test
  void generateAnswersEveryPromptOfAFile() throws IOException {
    quickstart();
    String checkpoint = onlyRun().resolve("run/checkpoint-3").toString();
    out.getBuffer().setLength(0);
    int status =
        trainer(
            "generate",
            "--model",
            checkpoint,
            "--prompt_file",
            onlyRun().resolve("heldout.jsonl").toString(),
            "--device",
            "reference",
            "--max_new_tokens",
            "3",
            "--format",
            "jsonl");
    assertThat(status).as(err.toString()).isEqualTo(0);
    List<String> rows = out.toString().lines().toList();
    assertThat(rows).hasSize(6);
    JsonNode first = new ObjectMapper().readTree(rows.getFirst());
    assertThat(first.get("prompt").asText()).matches("\\d\\d \\+ \\d\\d =");
    assertThat(first.get("new_ids").size()).isBetween(1, 3);
  }

  @Test
  void generateRefusesAFolderWithoutWeights() throws IOException {
    quickstart();
    err.getBuffer().setLength(0);
    int status =
        trainer(
            "generate",
            "--model",
            onlyRun().resolve("model").toString(),
            "--prompt",
            "x",
            "--device",
            "reference");
    assertThat(status).isEqualTo(ErrorReport.USER_ERROR);
    assertThat(err.toString()).contains("holds no weights").hasLineCount(1);
  }
}
