package io.panatron.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ParallelCommandsTest {
  private static final String PP = "--pipeline_model_parallel_size";

  @TempDir private Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int trainer(String... args) {
    Terminal terminal = new Terminal(80, false, false);
    return new TrainerCommandLine(
            (arguments, writer) -> 0,
            List.of(new ScheduleCommand(() -> terminal), new TopologyCommand(() -> terminal)),
            new PrintWriter(out),
            new PrintWriter(err))
        .execute(args);
  }

  @Test
  void aScheduleIsDrawn() throws IOException {
    Path file = folder.resolve("schedule.svg");

    assertThat(trainer("schedule", PP, "2", "--num_microbatches", "2", "--output", file.toString()))
        .isZero();
    assertThat(out.toString().lines())
        .containsExactly(
            "1F1B, 2 stages, 2 micro-batches: bubble 33.3 %",
            "stage 0  0>>>>>>1>>>>>>..............0<<<<<<<<<<<<<.......1<<<<<<<<<<<<<",
            "stage 1  .......0>>>>>>0<<<<<<<<<<<<<1>>>>>>1<<<<<<<<<<<<<..............",
            "> forward, < backward, . waiting; a number is a micro-batch",
            "a rank waits 33.33 % of the step; (p - 1) / (v m + p - 1) is 33.33 %",
            "activations of at most 2 micro-batches on stage 0, of 1 on stage 1",
            "Wrote " + file);
    assertThat(file).content().startsWith("<svg ").endsWith("</svg>\n");
  }

  @Test
  void aScheduleShowsWhichLayersStagesHold() {
    assertThat(
            trainer(
                ("schedule "
                        + PP
                        + " 4 --num_layers 3 --mtp_num_layers 1"
                        + " --pipeline_model_parallel_layout E|(t|)*3,|m||L")
                    .split(" ")))
        .isZero();
    assertThat(out.toString())
        .contains(
            "interleaved 1F1B, 4 stages x 2 chunks",
            "stage 0 holds embedding | nothing",
            "stage 1 holds layer 0 | 1 MTP",
            "stage 3 holds layer 2 | loss");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '~',
      quoteCharacter = '"',
      value = {
        "schedule~ trainer schedule needs --pipeline_model_parallel_size N for a plan",
        "schedule PP 2 --recording a.jfr~ both say what to draw",
        "schedule PP 2 --iteration 3~ --iteration chooses a step of a --recording",
        "schedule --recording none.jfr~ --recording none.jfr cannot be read",
        "schedule PP 2 --forward_time 0~ --forward_time is 0.0 and --backward_time 2.0",
        "schedule PP 2 --width 0~ --width is 0; it must be at least 1.",
        "schedule PP 2 --decoder_first_pipeline_num_layers 3~ add --num_layers N",
        "schedule PP 4 --num_layers 30~ 30 layers cannot be divided",
        "schedule PP 2 --output none/a.svg~ --output none/a.svg cannot be written",
        "topology --world_size 8 --tensor_model_parallel_size 3~ 8 ranks cannot be divided by",
        "topology --world_size 8 --rank 8~ --rank is 8; ranks of a world of 8 are 0 to 7.",
        "topology --world_size 8 --group xx~ --group knows no kind 'xx'; choose among tp, cp, dp,",
        "topology --world_size 8 --format xml~ --format cannot be 'xml'",
      })
  void mistakesAreAnsweredInOneSentence(String line, String message) {
    assertThat(trainer(line.replace("PP", PP).split(" "))).isEqualTo(2);
    assertThat(err.toString()).contains(message);
    assertThat(err.toString().lines()).hasSize(1);
  }

  @Test
  void groupsAreShownToPeople() {
    assertThat(
            trainer(
                "topology",
                "--world_size",
                "16",
                "--tensor_model_parallel_size",
                "2",
                PP,
                "4",
                "--group",
                "pp"))
        .isZero();
    assertThat(out.toString().lines())
        .contains(
            "16 ranks = tp 2 x cp 1 x dp 2 x pp 4",
            "stage 1   [ 4  5] [ 6  7]",
            "pp        4 of 4: {0, 4, 8, 12} {1, 5, 9, 13} {2, 6, 10, 14} {3, 7, 11, 15}");
  }

  @Test
  void groupsAreWrittenAsJson() throws IOException {
    assertThat(trainer(("topology --world_size 4 " + PP + " 2 --format json").split(" "))).isZero();
    JsonNode json = new ObjectMapper().readTree(out.toString());
    assertThat(json.at("/sizes/dp").asInt()).isEqualTo(2);
    assertThat(json.at("/groups/dp").toString()).isEqualTo("[[0,1],[2,3]]");
    assertThat(json.at("/groups/embd").toString()).isEqualTo("[[0,2],[1,3]]");
    assertThat(json.get("groups").size()).isEqualTo(16);
  }

  @Test
  void oneRankIsShownByItself() throws IOException {
    assertThat(trainer(("topology --world_size 4 --format table --rank 2 " + PP + " 2").split(" ")))
        .isZero();
    assertThat(out.toString())
        .isEqualTo("rank\ttp\tcp\tdp\tpp\tetp\tep\tedp%n2\t0\t0\t0\t1\t0\t0\t0%n".formatted());
    assertThat(trainer(("topology --world_size 4 --rank 2 " + PP + " 2").split(" "))).isZero();
    assertThat(out.toString()).contains("pos-embd  {0}  (without rank 2)");
  }

  @Test
  void whatWasDrawnIsNotWrittenWhereTheDrawingFails() {
    Path file = folder.resolve("a.svg");
    assertThat(
            trainer(
                "schedule", PP, "1000", "--num_microbatches", "100", "--output", file.toString()))
        .isEqualTo(2);
    assertThat(err.toString()).contains("200000 passes are more than a picture shows");
    assertThat(Files.exists(file)).isFalse();
  }
}
