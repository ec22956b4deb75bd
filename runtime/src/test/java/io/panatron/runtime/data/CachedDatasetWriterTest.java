package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CachedDatasetWriterTest {
  @TempDir Path folder;
  private final HfTokenizer tokenizer = Fixtures.tokenizer("qwen3");

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private Path rows(String name, int n) {
    String[] rows = new String[n];
    for (int i = 0; i < n; i++) {
      rows[i] =
          i == 3
              ? "{"
              : "{\"query\": \"" + name + "\", \"response\": \"" + "word ".repeat(i) + "\"}";
    }
    return Fixtures.write(folder.resolve(name), rows);
  }

  private static Reading reading(List<String> training, List<String> validation) {
    return new Reading(
        ColumnNames.DEFAULT,
        null,
        null,
        false,
        new Tokens(null, 2, null, training, validation),
        null);
  }

  private static DataSettings settings(List<String> data, double split, Reading reading) {
    return Fixtures.settings(data, split, 50, Truncation.DELETE, true, reading);
  }

  private CachedDatasetWriter.Written write(DataSettings settings) {
    return CachedDatasetWriter.write(settings, tokenizer, Fixtures.chatMl(), folder.resolve("out"));
  }

  private static List<String> samples(SampleSet set) {
    List<String> all = new ArrayList<>();
    for (int i = 0; i < set.size(); i++) {
      EncodedSample sample = set.get(i);
      all.add(
          set.location(i)
              + java.util.Arrays.toString(sample.ids())
              + java.util.Arrays.toString(sample.weights()));
    }
    return all;
  }

  @Test
  void trainingOnWhatWasWrittenIsTrainingOnTheRows() {
    List<String> data = List.of(rows("b.jsonl", 30).toString(), rows("a.jsonl", 30) + "#40");
    CachedDatasetWriter.Written written = write(settings(data, 0.2, reading(List.of(), List.of())));
    assertThat(written.dropped().count(BadRow.Kind.SYNTAX)).isEqualTo(2);
    assertThat(written.trainingSamples() + written.validationSamples()).isEqualTo(69);
    assertThat(written.training()).isEqualTo(folder.resolve("out/train"));

    Reading cached =
        reading(
            List.of(written.training().toString()),
            List.of(Objects.requireNonNull(written.validation()).toString()));
    DataSettings fromRows = settings(data, 0.2, reading(List.of(), List.of()));
    try (DataPipeline rows = DataPipeline.open(fromRows, tokenizer, Fixtures.chatMl());
        DataPipeline tokens =
            DataPipeline.open(settings(List.of(), 0, cached), tokenizer, Fixtures.chatMl())) {
      assertThat(samples(tokens.training()))
          .as("the same, in an order of its own")
          .containsExactlyInAnyOrderElementsOf(samples(rows.training()))
          .hasSizeLessThan(written.trainingSamples());
      assertThat(samples(tokens.validation()))
          .containsExactlyInAnyOrderElementsOf(samples(rows.validation()));
      assertThat(tokens.dropped().count(BadRow.Kind.LENGTH))
          .as("samples are kept whole, so the run that trains leaves long ones out")
          .isPositive();
    }
  }

  @Test
  void nothingIsLeftWhereItCannotBeWritten() throws IOException {
    String data = rows("a.jsonl", 4).toString();
    Reading plain = reading(List.of(), List.of());
    write(settings(List.of(data), 0, plain));
    assertThatThrownBy(() -> write(settings(List.of(data), 0, plain)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("train is there already");
    try (Stream<Path> left = Files.list(folder.resolve("out"))) {
      assertThat(left).containsExactly(folder.resolve("out/train"));
    }
    assertThatThrownBy(
            () -> write(settings(List.of(data), 0, reading(List.of("x.tokens"), List.of()))))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith("--cached_dataset has no meaning for data that are only tokenized");
    Path file = Fixtures.write(folder.resolve("file"), "x");
    assertThatThrownBy(() ->
            CachedDatasetWriter.write(
                settings(List.of(data), 0, plain), tokenizer, Fixtures.chatMl(), file))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("cannot be written to " + file);
  }
}
