package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OrderedWorkTest {
  @TempDir Path folder;

  @Test
  void resultsComeInTheOrderOfTheWorkHoweverItEnds() {
    CountDownLatch second = new CountDownLatch(1);
    AtomicInteger next = new AtomicInteger();
    List<Integer> taken = new ArrayList<>();
    OrderedWork.<Integer, RuntimeException>run(
        2,
        () -> {
          int piece = next.getAndIncrement();
          return piece == 40
              ? null
              : () -> {
                if (piece == 0) {
                  second.await(); // the first ends after the second
                } else {
                  second.countDown();
                }
                return piece;
              };
        },
        taken::add);
    assertThat(taken).hasSize(40).isSorted();
    assertThat(OrderedWork.ints(3, 1000, i -> i * i)[999]).isEqualTo(999 * 999);
    assertThat(OrderedWork.ints(3, 0, i -> i)).isEmpty();
  }

  @Test
  void theFirstErrorIsTheFirstInOrder() {
    assertThatThrownBy(() ->
            OrderedWork.ints(
                3,
                5000,
                i -> {
                  if (i >= 1234) {
                    throw new UserError("number " + i);
                  }
                  return i;
                }))
        .isInstanceOf(UserError.class)
        .hasMessage("number 1234");
  }

  private static DataSettings settings(Path file, int threads, boolean strict) {
    Reading reading =
        new Reading(
            ColumnNames.DEFAULT,
            null,
            null,
            false,
            new Tokens(true, threads, null, List.of(), List.of()),
            null);
    return new DataSettings(
        false,
        List.of(file + "#700"),
        List.of(),
        0.1,
        42,
        true,
        false,
        null,
        40,
        Truncation.DELETE,
        LossScale.DEFAULT,
        strict,
        reading);
  }

  private record Read(List<EncodedSample> samples, List<String> places, List<String> dropped) {}

  private static Read read(Path file, int threads) {
    try (HfTokenizer tokenizer = Fixtures.tokenizer("qwen3");
        DataPipeline data =
            DataPipeline.open(settings(file, threads, false), tokenizer, Fixtures.chatMl())) {
      List<EncodedSample> samples = new ArrayList<>();
      List<String> places = new ArrayList<>();
      for (SampleSet set : List.of(data.training(), data.validation())) {
        for (int i = 0; i < set.size(); i++) {
          samples.add(set.get(i));
          places.add(set.location(i));
        }
      }
      return new Read(samples, places, data.dropped().describe());
    }
  }

  @Test
  void dataAreTheSameWithAnyNumberOfThreads() {
    String[] rows = new String[600];
    for (int i = 0; i < rows.length; i++) {
      rows[i] =
          i % 97 == 96
              ? "{\"query\": " + i
              : "{\"query\": \"Q%d\", \"response\": \"%s\"}".formatted(i, "word ".repeat(i % 23));
    }
    Path file = Fixtures.write(folder.resolve("a.jsonl"), rows);
    Read one = read(file, 1);
    Read three = read(file, 3);
    assertThat(three).usingRecursiveComparison().isEqualTo(one);
    assertThat(one.dropped()).anyMatch(line -> line.contains("longer than --max_length"));
    assertThat(one.samples()).hasSizeGreaterThan(100);
    try (HfTokenizer tokenizer = Fixtures.tokenizer("qwen3")) {
      assertThatThrownBy(
              () -> DataPipeline.open(settings(file, 3, true), tokenizer, Fixtures.chatMl()))
          .isInstanceOf(UserError.class)
          .hasMessageStartingWith(file + ":97 is not valid JSON");
    }
  }
}
