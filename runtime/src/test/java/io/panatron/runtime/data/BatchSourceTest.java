package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BatchSourceTest {
  private static final BatchSource.Settings INLINE = new BatchSource.Settings(true, 0, 0, 2);
  private static final BatchSource.Settings THREADS = new BatchSource.Settings(true, 0, 4, 2);

  @TempDir Path folder;
  private final HfTokenizer tokenizer = Fixtures.tokenizer("qwen3");

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private DataPipeline open(Path file) {
    return DataPipeline.open(Fixtures.settings(file), tokenizer, Fixtures.chatMl());
  }

  private static BatchSampler sampler() {
    return BatchSampler.of(new BatchSampler.Shape(16, 3, 0, 1), true, true, true);
  }

  private static List<MicroBatch> take(BatchSource source, int n) {
    List<MicroBatch> batches = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      batches.add(source.next());
    }
    return batches;
  }

  @Test
  void threadsChangeNothing() {
    try (DataPipeline data = open(Fixtures.path("qwen3/train.jsonl"));
        BatchSource inline = BatchSource.training(data.training(), sampler(), INLINE, 0);
        BatchSource threaded = BatchSource.training(data.training(), sampler(), THREADS, 0)) {
      assertThat(take(threaded, 40)).usingRecursiveComparison().isEqualTo(take(inline, 40));
      assertThat(threaded.consumedSamples()).isEqualTo(120);
      assertThat(threaded.waitedNanos()).isPositive();
    }
  }

  @Test
  void resumingContinuesTheUninterruptedRun() {
    try (DataPipeline data = open(Fixtures.path("qwen3/train.jsonl"));
        BatchSource whole = BatchSource.training(data.training(), sampler(), THREADS, 0);
        BatchSource resumed = BatchSource.training(data.training(), sampler(), THREADS, 21)) {
      take(whole, 7);
      assertThat(take(resumed, 12)).usingRecursiveComparison().isEqualTo(take(whole, 12));
    }
  }

  @Test
  void evaluationGivesEverySampleOnceAndEveryRankAsManyBatches() {
    try (DataPipeline data = open(Fixtures.path("qwen3/train.jsonl"))) {
      List<Integer> seen = new ArrayList<>();
      for (int rank = 0; rank < 2; rank++) {
        try (BatchSource source =
            BatchSource.evaluation(data.training(), 3, rank, 2, THREADS, 100)) {
          int batches = 0;
          while (source.hasNext()) {
            for (int sample : source.next().samples()) {
              seen.add(sample);
            }
            batches++;
          }
          assertThat(batches).isEqualTo(3);
          assertThatThrownBy(source::next).isInstanceOf(IllegalStateException.class);
        }
      }
      assertThat(seen).hasSize(16).doesNotHaveDuplicates();
    }
  }

  @Test
  void evaluationStopsAtItsLimit() {
    try (DataPipeline data = open(Fixtures.path("qwen3/train.jsonl"));
        BatchSource source = BatchSource.evaluation(data.training(), 4, 0, 1, INLINE, 6)) {
      assertThat(source.next().samples()).containsExactly(0, 1, 2, 3);
      assertThat(source.next().samples()).containsExactly(4, 5);
      assertThat(source.hasNext()).isFalse();
    }
  }

  @Test
  void anErrorOfARowComesOutWhereItIsUsed() throws IOException {
    Path file = folder.resolve("a.jsonl");
    Files.copy(Fixtures.path("qwen3/train.jsonl"), file);
    try (DataPipeline data = open(file)) {
      byte[] bytes = Files.readAllBytes(file);
      bytes[0] = 'x';
      Files.write(file, bytes);
      BatchSampler inOrder =
          BatchSampler.of(new BatchSampler.Shape(16, 1, 0, 1), true, false, false);
      try (BatchSource source = BatchSource.training(data.training(), inOrder, THREADS, 12)) {
        take(source, 4);
        assertThatThrownBy(source::next)
            .isInstanceOf(UserError.class)
            .hasMessageContaining(file + ":1 is not valid JSON")
            .hasMessageContaining("unchanged during a run");
      }
    }
  }

  @Test
  void closingEndsTheThreads() {
    try (DataPipeline data = open(Fixtures.path("qwen3/train.jsonl"))) {
      long before = dataThreads();
      BatchSource source = BatchSource.training(data.training(), sampler(), THREADS, 0);
      source.next();
      source.close();
      source.close();
      assertThat(dataThreads()).isEqualTo(before);
      assertThatThrownBy(source::next).isInstanceOf(IllegalStateException.class);
    }
  }

  private static long dataThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(t -> t.getName().startsWith("data-"))
        .count();
  }

  @Test
  void workerSettingsAreChecked() {
    assertThatThrownBy(() -> new BatchSource.Settings(true, 0, -1, 2))
        .isInstanceOf(UserError.class);
  }
}
