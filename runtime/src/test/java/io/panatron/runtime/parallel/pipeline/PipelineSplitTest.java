package io.panatron.runtime.parallel.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.parallel.pipeline.PipelineSplit.Stage;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class PipelineSplitTest {
  @Provide
  Arbitrary<Integer> small() {
    return Arbitraries.integers().between(1, 6);
  }

  @Property
  void layersAreDividedEvenlyInTheirOrder(
      @ForAll("small") int pipeline, @ForAll("small") int chunks, @ForAll("small") int each) {
    int ranks = pipeline + 1;
    int layers = ranks * chunks * each;
    PipelineSplit split = PipelineSplit.of(chunked(ranks, chunks), layers, 1);

    assertThat(split.chunks()).isEqualTo(chunks);
    assertThat(split.layers()).isEqualTo(layers);
    for (int chunk = 0; chunk < chunks; chunk++) {
      for (int rank = 0; rank < ranks; rank++) {
        Stage stage = split.stage(rank, chunk);
        // Megatron's offset: chunk * (layers / chunks) + rank * (layers per rank / chunks)
        assertThat(stage.firstLayer()).isEqualTo(chunk * (layers / chunks) + rank * each);
        assertThat(stage.layers()).isEqualTo(each);
        assertThat(stage.embedding()).isEqualTo(chunk == 0 && rank == 0);
        assertThat(stage.loss()).isEqualTo(chunk == chunks - 1 && rank == ranks - 1);
        assertThat(stage.mtpLayers()).isEqualTo(stage.loss() ? 1 : 0);
        for (int layer = stage.firstLayer(); layer < stage.endLayer(); layer++) {
          assertThat(split.rankOfLayer(layer)).isEqualTo(rank);
        }
      }
    }
  }

  @Property
  void unevenStagesHaveTheirLayersInOrder(
      @ForAll("small") int middleRanks,
      @ForAll("small") int chunks,
      @ForAll("small") int first,
      @ForAll("small") int middle,
      @ForAll("small") int last) {
    int layers = chunks * (first + middleRanks * middle + last);
    SplitOptions options =
        new SplitOptions(
            middleRanks + 2, first * chunks, last * chunks, false, false, chunks, null, null);
    PipelineSplit split = PipelineSplit.of(options, layers, 0);

    for (int chunk = 0; chunk < chunks; chunk++) {
      int offset = chunk * (first + middleRanks * middle + last);
      assertThat(split.stage(0, chunk).firstLayer()).isEqualTo(offset);
      assertThat(split.stage(0, chunk).layers()).isEqualTo(first);
      for (int rank = 1; rank <= middleRanks; rank++) {
        assertThat(split.stage(rank, chunk).firstLayer())
            .isEqualTo(offset + first + (rank - 1) * middle);
        assertThat(split.stage(rank, chunk).layers()).isEqualTo(middle);
      }
      assertThat(split.stage(middleRanks + 1, chunk).layers()).isEqualTo(last);
    }
  }

  @Test
  void eightLayersOnTwoRanksWithFourChunks() {
    PipelineSplit split = PipelineSplit.of(chunked(2, 4), 8, 0);

    assertThat(firstLayers(split, 0)).containsExactly(0, 2, 4, 6);
    assertThat(firstLayers(split, 1)).containsExactly(1, 3, 5, 7);
    assertThat(PipelineSplit.of(options(2, null, null, false, false, 1), 8, 0)).isEqualTo(split);
  }

  @Test
  void embeddingAndLossTakeThePlaceOfALayer() {
    PipelineSplit split = PipelineSplit.of(options(4, null, null, true, true, null), 30, 0);
    assertThat(counts(split)).containsExactly(7, 8, 8, 7);

    SplitOptions chunked = new SplitOptions(2, null, null, true, true, 2, null, null);
    PipelineSplit two = PipelineSplit.of(chunked, 6, 0);
    assertThat(counts(two)).containsExactly(1, 2, 2, 1);
    assertThat(firstLayers(two, 0)).containsExactly(0, 3);
    assertThat(firstLayers(two, 1)).containsExactly(1, 5);

    SplitOptions embeddingAlone = new SplitOptions(2, null, null, true, false, null, null, null);
    assertThat(counts(PipelineSplit.of(embeddingAlone, 1, 0))).containsExactly(0, 1);
  }

  @Test
  void oneOfTheEndsMayBeGiven() {
    assertThat(counts(PipelineSplit.of(options(4, 3, null, false, false, null), 9, 0)))
        .containsExactly(3, 2, 2, 2);
    assertThat(counts(PipelineSplit.of(options(4, null, 1, false, false, null), 13, 0)))
        .containsExactly(4, 4, 4, 1);
    assertThat(counts(PipelineSplit.of(options(2, 5, 3, false, false, null), 8, 0)))
        .containsExactly(5, 3);
  }

  @Test
  void aLayoutIsTakenAsItIsWritten() {
    PipelineSplit split = layout(4, "E|(t|)*3,|m||L", 3, 1);

    assertThat(split.chunks()).isEqualTo(2);
    assertThat(split.stages())
        .containsExactly(
            new Stage(true, 0, 0, 0, false),
            new Stage(false, 0, 1, 0, false),
            new Stage(false, 1, 1, 0, false),
            new Stage(false, 2, 1, 0, false),
            new Stage(false, 3, 0, 0, false),
            new Stage(false, 3, 0, 1, false),
            new Stage(false, 3, 0, 0, false),
            new Stage(false, 3, 0, 0, true));
    assertThat(split.mtpStandsAlone()).isTrue();
    assertThat(layout(2, "Ettt|t*2mL", 5, 1).mtpStandsAlone()).isFalse();
  }

  @Test
  void repetitionsAreWrittenOutOnce() {
    assertThat(stages("Ettt|(tt|)*29,m|L")).hasSize(32);
    assertThat(letters("E(tt|t|tt)*2mL")).isEqualTo("Ett|t|tttt|t|ttmL");
    assertThat(letters("E(|tt)*2L")).isEqualTo("E|tt|ttL");
    assertThat(letters("Et*3|*2tL")).isEqualTo("Ettt||tL");
    assertThat(letters("E|(t|)*3,m|m||L")).isEqualTo("E|t|t|t|m|m||L");
  }

  @Test
  void layoutsThatDoNotFitTheModelAreRefused() {
    String start = "--pipeline_model_parallel_layout ";
    refused(
        () -> layout(3, "Et|tL", 2, 0),
        "its 2 stages cannot be divided among"
            + " --pipeline_model_parallel_size 3 ranks; add or remove bars.");
    refused(
        () -> layout(2, "t|EtL", 2, 0),
        "it must begin with the embedding E and have no second one.");
    refused(
        () -> layout(2, "EE|tL", 1, 0),
        "it must begin with the embedding E and have no second one.");
    refused(() -> layout(2, "E|Lt", 1, 0), "it must end with the loss L and have no second one.");
    refused(() -> layout(2, "EL|tL", 1, 0), "it must end with the loss L and have no second one.");
    refused(
        () -> layout(2, "Et|tL", 3, 0),
        "it has 2 decoder layers (t) where the model has 3; change the number of t.");
    refused(
        () -> layout(2, "Et|tmL", 2, 0),
        "it has 1 multi-token prediction layers (m) where the model has 0; change the number of m.");
    refused(
        () -> layout(2, "Em|tL", 1, 1),
        "no decoder layer t may follow a multi-token prediction layer m.");
    refused(
        () -> layout(4, "E|(t|)*3,m|m||L", 3, 2),
        "all multi-token prediction layers m must stand in one stage.");
    refused(
        () -> layout(2, "Et|m||L", 1, 1),
        "stage 1 holds an m but is not its rank's last; place m in one of the last 2 stages.");
    refused(
        () -> layout(2, "Et|xL", 1, 0),
        "'x' is no layer; use E, t, m and L, bars between stages, and (...)*n without nesting.");
    refused(
        () -> layout(2, "E|((t|)*2)*2L", 4, 0),
        "'(' is no layer; use E, t, m and L, bars between stages, and (...)*n without nesting.");
    refused(
        () -> layout(2, "Et*99999999999|L", 1, 0),
        "it repeats to more than 100000 letters; lower the counts.");
    refused(
        () -> layout(2, "E" + "t*60000".repeat(2) + "|L", 1, 0),
        "it repeats to more than 100000 letters; lower the counts.");
    assertThatThrownBy(() -> layout(2, "Et|xL", 1, 0))
        .hasMessageStartingWith(start + "Et|xL cannot be used: ");
  }

  @Test
  void layersThatDoNotDivideAreRefused() {
    refused(
        () -> PipelineSplit.of(SplitOptions.even(4), 30, 0),
        "30 layers cannot be divided among --pipeline_model_parallel_size 4 ranks; use"
            + " --decoder_first_pipeline_num_layers, --decoder_last_pipeline_num_layers or"
            + " --pipeline_model_parallel_layout.");
    refused(
        () -> PipelineSplit.of(options(4, null, null, true, false, null), 30, 0),
        "31 layers (embedding or loss counted) cannot be divided among");
    refused(
        () -> PipelineSplit.of(options(4, 3, null, false, false, null), 10, 0),
        "10 layers less the 3 of the first and the 0 of the last stage leave 7, which cannot be"
            + " divided among the other 3;");
    refused(
        () -> PipelineSplit.of(options(2, 3, 4, false, false, null), 8, 0),
        "8 layers less the 3 of the first and the 4 of the last stage leave 1, which cannot be"
            + " divided among the other 0;");
    refused(
        () -> PipelineSplit.of(options(2, 9, null, false, false, null), 8, 0),
        "leave -1, which cannot be divided");
    refused(
        () -> PipelineSplit.of(chunked(2, 3), 8, 0),
        "the 4 layers of pipeline rank 0 cannot be divided into 3 virtual stages;");
    refused(
        () -> PipelineSplit.of(options(2, null, null, false, false, 3), 8, 0),
        "the 4 layers of a pipeline rank cannot be divided by"
            + " --num_layers_per_virtual_pipeline_stage 3; choose a divisor.");
    refused(
        () -> PipelineSplit.of(new SplitOptions(1, null, null, true, true, null, null, null), 0, 0),
        "a model of 0 layers cannot be split.");
  }

  @Test
  void contradictionsAreRefused() {
    PipelineLayout layout = PipelineLayout.parse("Et|tL");
    refused(
        () -> new SplitOptions(2, 1, null, false, false, null, null, layout),
        "--pipeline_model_parallel_layout and --decoder_first_pipeline_num_layers both say how"
            + " layers are split; keep one of them.");
    refused(
        () -> new SplitOptions(2, null, null, false, true, null, null, layout),
        "--pipeline_model_parallel_layout and --account_for_loss_in_pipeline_split both");
    refused(
        () -> new SplitOptions(2, null, null, false, false, 2, null, layout),
        "--pipeline_model_parallel_layout and --num_virtual_stages_per_pipeline_rank both");
    refused(
        () -> new SplitOptions(2, null, 1, true, false, null, null, null),
        "--decoder_last_pipeline_num_layers and --account_for_embedding_in_pipeline_split both");
    refused(
        () -> new SplitOptions(2, 1, null, false, false, null, 1, null),
        "--decoder_first_pipeline_num_layers and --num_layers_per_virtual_pipeline_stage both");
    refused(
        () -> new SplitOptions(2, null, null, false, false, 2, 1, null),
        "--num_virtual_stages_per_pipeline_rank and --num_layers_per_virtual_pipeline_stage both");
    refused(
        () -> new SplitOptions(1, 1, null, false, false, null, null, null),
        "--decoder_first_pipeline_num_layers needs a --pipeline_model_parallel_size above 1;");
    refused(
        () -> new SplitOptions(1, null, null, false, false, 2, null, null),
        "--num_virtual_stages_per_pipeline_rank needs a --pipeline_model_parallel_size above 1;");
    refused(
        () -> new SplitOptions(1, null, null, false, false, null, null, layout),
        "--pipeline_model_parallel_layout with several stages needs a");
    refused(
        () -> new SplitOptions(2, 0, null, false, false, null, null, null),
        "--decoder_first_pipeline_num_layers is 0; it must be at least 1.");
  }

  private static SplitOptions chunked(int pipeline, int chunks) {
    return new SplitOptions(pipeline, null, null, false, false, chunks, null, null);
  }

  private static SplitOptions options(
      int pipeline,
      @Nullable Integer first,
      @Nullable Integer last,
      boolean embedding,
      boolean loss,
      @Nullable Integer layersPerChunk) {
    return new SplitOptions(pipeline, first, last, embedding, loss, null, layersPerChunk, null);
  }

  private static PipelineSplit layout(int pipeline, String text, int layers, int mtp) {
    return PipelineSplit.of(
        new SplitOptions(
            pipeline, null, null, false, false, null, null, PipelineLayout.parse(text)),
        layers,
        mtp);
  }

  private static List<List<LayerKind>> stages(String text) {
    return PipelineLayout.parse(text).stages();
  }

  private static String letters(String text) {
    StringBuilder letters = new StringBuilder();
    for (List<LayerKind> stage : stages(text)) {
      stage.forEach(kind -> letters.append(kind.letter()));
      letters.append('|');
    }
    return letters.substring(0, letters.length() - 1);
  }

  private static List<Integer> firstLayers(PipelineSplit split, int rank) {
    return IntStream.range(0, split.chunks())
        .mapToObj(chunk -> split.stage(rank, chunk).firstLayer())
        .toList();
  }

  private static List<Integer> counts(PipelineSplit split) {
    return split.stages().stream().map(Stage::layers).toList();
  }

  private static void refused(ThrowingCallable call, String part) {
    assertThatThrownBy(call).isInstanceOf(UserError.class).hasMessageContaining(part);
  }
}
