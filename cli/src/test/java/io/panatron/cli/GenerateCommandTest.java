package io.panatron.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.generate.Answer;
import io.panatron.runtime.generate.Completion;
import io.panatron.runtime.generate.StopReason;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GenerateCommandTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int generate(String... options) {
    List<String> arguments = new ArrayList<>(List.of("generate", "--model", "no-such-folder"));
    arguments.addAll(Arrays.asList(options));
    return new TrainerCommandLine(
            (parsed, printer) -> 0,
            List.of(new GenerateCommand(InputStream.nullInputStream())),
            new PrintWriter(out),
            new PrintWriter(err))
        .execute(arguments.toArray(String[]::new));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--prompt x --temperature -1 | --temperature is -1.0; it must be 0",
        "--prompt x --temperature hot | Invalid value for option '--temperature'",
        "--prompt x --top_k -5 | --top_k is -5; it must be 0",
        "--prompt x --top_p 1.5 | --top_p is 1.5; it must be above 0",
        "--prompt x --repetition_penalty 0 | --repetition_penalty is 0.0; it must be above 0",
        "--prompt x --num_beams 4 | --num_beams 4 is not supported",
        "--prompt x --num_return_sequences 0 | --num_return_sequences is 0",
        "--prompt x --micro_batch_size 0 | --micro_batch_size is 0",
        "--prompt x --max_new_tokens 0 | --max_new_tokens is 0",
        "--prompt x --format xml | --format cannot be 'xml'",
        "--prompt x --format text --result_path a | --result_path holds jsonl rows",
        "--prompt x --logprobs | --logprobs belongs to jsonl rows",
        "--prompt x --max_new_token 3 | '--max_new_token'",
        "--prompt x --do_sample false --temperature 3 | --do_sample false takes the most probable",
        "--prompt x --temperature 0 --top_k 5 | --temperature 0 takes the most probable",
        "--prompt x --do_sample true --temperature 0 | --temperature 0 takes the most probable",
        "--temperature 1 | trainer generate needs something to answer",
        "--chat --prompt x | --chat shows one answer a turn",
        "--chat --result_path a | --chat shows one answer a turn",
        "--chat --n 2 | --chat shows one answer a turn",
        "--prompt x | no-such-folder",
      })
  void aMistakeIsToldInOneSentence(String options, String mistake) {
    int status = generate(options.split(" "));
    assertThat(status).isEqualTo(ErrorReport.USER_ERROR);
    assertThat(err.toString()).contains(mistake).hasLineCount(1);
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void anEmptyStopStringIsRefused() {
    assertThat(generate("--prompt", "x", "--stop_words", "")).isEqualTo(ErrorReport.USER_ERROR);
    assertThat(err.toString()).startsWith("--stop_words has an empty text").hasLineCount(1);
  }

  @Test
  void promptsAreNotOverwrittenByTheirAnswers(@TempDir Path folder) throws IOException {
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), "one");
    Path link = Files.createSymbolicLink(folder.resolve("answers.txt"), prompts);
    for (Path result : List.of(prompts, link)) {
      int status =
          generate("--prompt_file", prompts.toString(), "--result_path", result.toString());
      assertThat(status).isEqualTo(ErrorReport.USER_ERROR);
    }
    assertThat(err.toString().lines())
        .hasSize(2)
        .allSatisfy(line ->
            assertThat(line).contains("is the file of --prompt_file, which it would replace"));
    assertThat(prompts).hasContent("one");
  }

  @Test
  void aReaderThatWentAwayEndsTheAnswering() {
    OutputStream closed =
        new OutputStream() {
          @Override
          public void write(int value) throws IOException {
            throw new IOException("Broken pipe");
          }
        };
    List<Function<PrintWriter, AnswerOutput>> outputs =
        List.of(
            writer -> JsonlOutput.to(writer, false),
            writer -> new TextOutput(writer, true, 1),
            writer -> new TextOutput(writer, false, 2));
    for (Function<PrintWriter, AnswerOutput> output : outputs) {
      PrintWriter writer = new PrintWriter(new PrintStream(closed), false, StandardCharsets.UTF_8);
      assertThatThrownBy(() -> sideBySide(output.apply(writer)))
          .isInstanceOf(ClosedOutputException.class);
    }
  }

  private static Answer answer(int prompt, int sample, String text) {
    return new Answer(
        new Completion(
            prompt, sample, new int[] {4, 2}, new double[] {-0.5, -1.5}, StopReason.LENGTH),
        text);
  }

  private static final List<PromptOptions.Prompt> TWO =
      List.of(
          new PromptOptions.Prompt("first", new int[] {1}),
          new PromptOptions.Prompt("second", new int[] {2, 3}));

  /** Lets the second answer grow and end while the first is still growing. */
  private static void sideBySide(AnswerOutput output) {
    OrderedAnswers ordered = new OrderedAnswers(TWO, 1, output);
    ordered.piece(0, 0, "a");
    ordered.piece(1, 0, "x");
    ordered.piece(1, 0, "y");
    ordered.ended(answer(1, 0, "xy"));
    ordered.piece(0, 0, "b");
    ordered.ended(answer(0, 0, "ab"));
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  void answersMadeSideBySideAreShownInTheOrderOfTheirPrompts(boolean streams) {
    PrintWriter writer = new PrintWriter(out);
    sideBySide(new TextOutput(writer, streams, 2));
    assertThat(out.toString().lines()).containsExactly("> first", "ab", "> second", "xy");
  }

  @Test
  void theFirstOpenAnswerIsShownAsItGrows() {
    PrintWriter writer = new PrintWriter(out);
    OrderedAnswers ordered = new OrderedAnswers(TWO, 1, new TextOutput(writer, true, 2));
    ordered.piece(1, 0, "later");
    ordered.piece(0, 0, "now");
    assertThat(out.toString()).isEqualTo("> first" + System.lineSeparator() + "now");
    ordered.ended(answer(0, 0, "now"));
    assertThat(out.toString()).endsWith("later");
  }

  @Test
  void aResultFileHoldsARowForEachAnswer(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("rows.jsonl");
    try (JsonlOutput rows = JsonlOutput.to(file, true)) {
      sideBySide(rows);
    }
    List<String> lines = Files.readAllLines(file);
    assertThat(lines).hasSize(2);
    JsonNode row = new ObjectMapper().readTree(lines.get(1));
    assertThat(row.get("prompt").asText()).isEqualTo("second");
    assertThat(row.get("answer").asText()).isEqualTo("xy");
    assertThat(row.get("stop_reason").asText()).isEqualTo("length");
    assertThat(row.get("prompt_ids").toString()).isEqualTo("[2,3]");
    assertThat(row.get("new_ids").toString()).isEqualTo("[4,2]");
    assertThat(row.get("logprobs").toString()).isEqualTo("[-0.5,-1.5]");
  }
}
