package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SampleStreamTest {
  private static final BatchSource.Settings THREADS = new BatchSource.Settings(true, 0, 4, 2);
  private static final BatchSource.Settings INLINE = new BatchSource.Settings(true, 0, 0, 2);

  @TempDir Path folder;
  private final HfTokenizer tokenizer = Fixtures.tokenizer("qwen3");

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private Path rows(String name, String prefix, int n) {
    return Fixtures.write(
        folder.resolve(name),
        IntStream.range(0, n)
            .mapToObj(i ->
                "{\"query\": \"Q\", \"response\": \"" + prefix + i + " x".repeat(i % 7) + "\"}")
            .toArray(String[]::new));
  }

  /** What differs between the runs of these tests. */
  private record Run(
      List<String> data,
      boolean shuffle,
      int buffer,
      @Nullable Integer epochs,
      @Nullable Mixing mixing,
      @Nullable Packing packing,
      Truncation truncation,
      int maxLength) {
    static Run of(Path... data) {
      return new Run(
          java.util.stream.Stream.of(data).map(Path::toString).toList(),
          false,
          10,
          1,
          null,
          null,
          Truncation.DELETE,
          1000);
    }

    Run shuffled(int size) {
      return new Run(data, true, size, epochs, mixing, packing, truncation, maxLength);
    }

    Run epochs(@Nullable Integer n) {
      return new Run(data, shuffle, buffer, n, mixing, packing, truncation, maxLength);
    }

    Run mixed(Mixing how) {
      return new Run(data, shuffle, buffer, epochs, how, packing, truncation, maxLength);
    }

    Run packed(boolean packs) {
      Packing how = packs ? new Packing(60, 1) : null;
      return new Run(data, shuffle, buffer, epochs, mixing, how, truncation, maxLength);
    }

    Run cut(Truncation how, int length) {
      return new Run(data, shuffle, buffer, epochs, mixing, packing, how, length);
    }
  }

  private DataPipeline open(Run run) {
    Reading reading =
        new Reading(
            ColumnNames.DEFAULT,
            run.mixing(),
            run.packing(),
            false,
            Tokens.LAZY,
            new Streaming(run.buffer(), run.epochs()));
    return DataPipeline.open(
        Fixtures.settings(run.data(), 0, run.maxLength(), run.truncation(), run.shuffle(), reading),
        tokenizer,
        Fixtures.chatMl());
  }

  /** The answers of up to {@code most} samples. */
  private List<String> answers(DataPipeline data, int most) {
    List<String> answers = new ArrayList<>();
    try (SampleStream stream = data.openStream()) {
      List<EncodedSample> sample;
      while (answers.size() < most && (sample = stream.next()) != null) {
        String text = tokenizer.decode(sample.getFirst().ids(), true);
        String answer = text.substring(text.indexOf("assistant\n") + 10).strip();
        int space = answer.indexOf(' ');
        answers.add(space < 0 ? answer : answer.substring(0, space));
      }
    }
    return answers;
  }

  private List<String> answers(Run run, int most) {
    try (DataPipeline data = open(run)) {
      return answers(data, most);
    }
  }

  private static List<String> names(String prefix, int n) {
    return IntStream.range(0, n).mapToObj(i -> prefix + i).toList();
  }

  @Test
  void filesFollowEachOtherForAsManyEpochsAsAskedFor() {
    Run run = Run.of(rows("a.jsonl", "a", 3), rows("b.jsonl", "b", 2));
    List<String> epoch = List.of("a0", "a1", "a2", "b0", "b1");
    assertThat(answers(run, 100)).isEqualTo(epoch);
    List<String> twice = new ArrayList<>(epoch);
    twice.addAll(epoch);
    assertThat(answers(run.epochs(2), 100)).isEqualTo(twice);
    assertThat(answers(run.epochs(null), 23)).hasSize(23).startsWith("a0").endsWith("a2");
  }

  @Test
  void theShuffleBufferMovesRowsNoFurtherForwardThanItIsLong() {
    Run run = Run.of(rows("a.jsonl", "a", 200)).shuffled(10).epochs(2);
    List<String> drawn = answers(run, 1000);
    List<String> first = drawn.subList(0, 200);
    List<String> second = drawn.subList(200, 400);
    assertThat(first).containsExactlyInAnyOrderElementsOf(names("a", 200)).isNotEqualTo(second);
    assertThat(second).containsExactlyInAnyOrderElementsOf(names("a", 200));
    for (int i = 0; i < first.size(); i++) {
      assertThat(Integer.parseInt(first.get(i).substring(1))).isLessThanOrEqualTo(i + 9);
    }
    assertThat(answers(run, 1000)).isEqualTo(drawn);
  }

  @Test
  void countsTakeTheFirstRowsAndRepeat() {
    Path file = rows("a.jsonl", "a", 3);
    assertThat(answers(Run.of(Path.of(file + "#2")), 100)).containsExactly("a0", "a1");
    assertThat(answers(Run.of(Path.of(file + "#5")), 100))
        .containsExactly("a0", "a1", "a2", "a0", "a1");
  }

  @Test
  void mixedStreamsEndLikeMixedDataSets() {
    Run run = Run.of(rows("a.jsonl", "a", 60), rows("b.jsonl", "b", 6));
    List<String> first = answers(run.mixed(new Mixing(List.of(0.5, 0.5), false)), 1000);
    assertThat(first).endsWith("b5").hasSizeLessThan(60).doesNotHaveDuplicates();
    List<String> all = answers(run.mixed(new Mixing(List.of(0.5, 0.5), true)), 1000);
    assertThat(all).contains("a59").endsWith("a59").containsAll(names("b", 6));
    assertThat(all.stream().filter(a -> a.equals("b0")).count()).isGreaterThan(1);
  }

  @Test
  void droppedRowsAreCountedOnce() {
    Path file =
        Fixtures.write(
            folder.resolve("a.jsonl"), "{", "{\"query\": \"Q\", \"response\": \"good\"}");
    try (DataPipeline data = open(Run.of(file).epochs(3))) {
      assertThat(answers(data, 10)).containsExactly("good", "good", "good");
      assertThat(data.dropped().count(BadRow.Kind.SYNTAX)).isEqualTo(1);
      assertThat(data.training().size()).isZero();
    }
    Path bad = Fixtures.write(folder.resolve("b.jsonl"), "{");
    assertThatThrownBy(() -> answers(Run.of(bad).epochs(null), 1))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("no training sample is left")
        .hasMessageContaining(bad + ":1");
  }

  @Test
  void packsHoldEverySampleOnce() {
    Run run = Run.of(rows("a.jsonl", "a", 300)).cut(Truncation.DELETE, 60).packed(true);
    int sequences = 0;
    try (DataPipeline data = open(run);
        SampleStream stream = data.openStream()) {
      List<EncodedSample> pack;
      while ((pack = stream.next()) != null) {
        sequences += pack.size();
        assertThat(pack.stream().mapToInt(EncodedSample::length).sum()).isLessThanOrEqualTo(60);
      }
    }
    assertThat(sequences).isEqualTo(300);
  }

  @ParameterizedTest
  @CsvSource({
    "DELETE, 1000, false",
    "DELETE, 16, false",
    "LEFT, 12, false",
    "RIGHT, 12, false",
    "DELETE, 60, true",
    "LEFT, 12, true"
  })
  void aResumedStreamGivesTheBatchesOfAnUninterruptedOne(
      Truncation truncation, int maxLength, boolean packs) {
    Run run =
        Run.of(rows("a.jsonl", "a", 60), rows("b.jsonl", "b", 30))
            .mixed(new Mixing(List.of(0.7, 0.3), true))
            .shuffled(16)
            .epochs(null)
            .cut(truncation, maxLength)
            .packed(packs);
    try (DataPipeline data = open(run);
        BatchSource whole = BatchSource.streaming(data.openStream(), 2, THREADS, 0);
        BatchSource resumed = BatchSource.streaming(data.openStream(), 2, THREADS, 130);
        BatchSource inline = BatchSource.streaming(data.openStream(), 2, INLINE, 130)) {
      for (int i = 0; i < 65; i++) {
        whole.next();
      }
      for (int i = 0; i < 40; i++) {
        MicroBatch expected = whole.next();
        assertThat(resumed.next()).usingRecursiveComparison().isEqualTo(expected);
        assertThat(inline.next()).usingRecursiveComparison().isEqualTo(expected);
      }
      assertThat(resumed.consumedSamples()).isEqualTo(210);
    }
  }

  @Test
  void batchesEndWithTheLastEpoch() {
    Run run = Run.of(rows("a.jsonl", "a", 5)).epochs(2);
    try (DataPipeline data = open(run);
        BatchSource batches = BatchSource.streaming(data.openStream(), 3, THREADS, 0)) {
      List<MicroBatch> all = new ArrayList<>();
      while (batches.hasNext()) {
        all.add(batches.next());
      }
      assertThat(all).hasSize(3);
      assertThatThrownBy(batches::next).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void packingWaitsForNewSamplesHoweverManyWaitAlready() {
    String[] rows = new String[600];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = i == 350 ? "{" : "{\"query\": \"Q\", \"response\": \"1\"}";
    }
    Path file = Fixtures.write(folder.resolve("a.jsonl"), rows);
    int each;
    try (DataPipeline data = open(Run.of(file));
        SampleStream stream = data.openStream()) {
      List<EncodedSample> first = stream.next();
      assertThat(first).isNotNull();
      each = first.getFirst().length();
    }
    Packing packing = new Packing(300 * each, 1);
    Run run =
        new Run(List.of(file.toString()), false, 10, 1, null, packing, Truncation.DELETE, each);
    try (DataPipeline data = open(run);
        SampleStream stream = data.openStream()) {
      assertThat(stream.next()).hasSize(300);
      assertThat(data.dropped().total()).as("rows 1 to 385 make the first three windows").isOne();
    }
  }
}
