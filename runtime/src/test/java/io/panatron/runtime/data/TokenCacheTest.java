package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenCacheTest {
  private static final String MADE = "Tokens            of 1 file made, of 0 reused in ";
  private static final String REUSED = "Tokens            of 0 files made, of 1 reused in ";

  @TempDir Path folder;
  private final HfTokenizer tokenizer = Fixtures.tokenizer("qwen3");

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private static String row(String answer) {
    return "{\"query\": \"Q\", \"response\": \"" + answer + "\"}";
  }

  private Path cache() {
    return folder.resolve("cache");
  }

  private Reading reading(List<String> cached) {
    return new Reading(
        ColumnNames.DEFAULT,
        null,
        null,
        false,
        new Tokens(null, 2, cached.isEmpty() ? cache() : null, cached, List.of()),
        null);
  }

  private DataPipeline open(List<String> data, List<String> cached, ChatTemplate template) {
    DataSettings settings =
        Fixtures.settings(data, 0, null, Truncation.DELETE, false, reading(cached));
    return DataPipeline.open(settings, tokenizer, template);
  }

  private DataPipeline open(Path file) {
    return open(List.of(file.toString()), List.of(), Fixtures.chatMl());
  }

  private static List<EncodedSample> samples(DataPipeline data) {
    List<EncodedSample> all = new ArrayList<>();
    for (int i = 0; i < data.training().size(); i++) {
      all.add(data.training().get(i));
    }
    return all;
  }

  private List<Path> cached() throws IOException {
    try (Stream<Path> files = Files.list(cache())) {
      return files.sorted().toList();
    }
  }

  @Test
  void tokensFromTheCacheAreThoseOfTokenizingDuringTraining() throws IOException {
    String[] rows = new String[300];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = i % 50 == 7 ? "{" : row("n" + i + " \u00fc".repeat(i % 9));
    }
    Path file = Fixtures.write(folder.resolve("a.jsonl"), rows);
    try (DataPipeline lazy =
            DataPipeline.open(Fixtures.settings(file), tokenizer, Fixtures.chatMl());
        DataPipeline first = open(file);
        DataPipeline second = open(file)) {
      assertThat(first.notes()).containsExactly(MADE + cache());
      assertThat(second.notes()).containsExactly(REUSED + cache());
      for (DataPipeline data : List.of(first, second)) {
        assertThat(samples(data)).usingRecursiveComparison().isEqualTo(samples(lazy));
        assertThat(data.dropped().describe()).isEqualTo(lazy.dropped().describe());
        assertThat(data.training().location(20)).isEqualTo(lazy.training().location(20));
        assertThat(data.training().lengths()).isEqualTo(lazy.training().lengths());
      }
      assertThat(cached()).hasSize(1);
    }
  }

  @Test
  void aChangedRowIsNoticedEvenIfSizeAndTimeStay() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"));
    FileTime time = Files.getLastModifiedTime(file);
    open(file).close();
    Fixtures.write(file, row("two"));
    Files.setLastModifiedTime(file, time);
    try (DataPipeline data = open(file)) {
      assertThat(data.notes()).containsExactly(MADE + cache());
      assertThat(tokenizer.decode(data.training().get(0).ids(), true)).contains("two");
    }
    assertThat(cached()).as("the tokens of the changed file replace the old ones").hasSize(1);
  }

  @Test
  void aFileThatWasOnlyTouchedIsReused() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"));
    open(file).close();
    Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000));
    try (DataPipeline data = open(file)) {
      assertThat(data.notes()).containsExactly(REUSED + cache());
    }
  }

  @Test
  void anotherTemplateOrOtherColumnsMakeTokensOfTheirOwn() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"));
    open(file).close();
    try (DataPipeline plain =
        open(List.of(file.toString()), List.of(), new PlainTemplate("<|im_end|>"))) {
      assertThat(plain.notes()).containsExactly(MADE + cache());
      assertThat(tokenizer.decode(plain.training().get(0).ids(), false))
          .isEqualTo("Qone<|im_end|>");
    }
    assertThat(cached()).hasSize(2);
  }

  @Test
  void aTornFileIsMadeAgain() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"), row("two"));
    open(file).close();
    Path tokens = cached().getFirst();
    byte[] whole = Files.readAllBytes(tokens);
    for (int length : new int[] {0, 10, TokenFile.TRAILER, whole.length - 1}) {
      Files.write(tokens, java.util.Arrays.copyOf(whole, length));
      try (DataPipeline data = open(file)) {
        assertThat(data.notes()).containsExactly(MADE + cache());
        assertThat(samples(data)).hasSize(2);
      }
    }
  }

  @Test
  void anyFlippedByteIsNoticed() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"), "{", row("two"));
    open(file).close();
    Path tokens = cached().getFirst();
    byte[] whole = Files.readAllBytes(tokens);
    Random random = new Random(3);
    for (int i = 0; i < 200; i++) {
      byte[] damaged = whole.clone();
      damaged[random.nextInt(whole.length)] ^= (byte) (1 << random.nextInt(8));
      Files.write(tokens, damaged);
      TokenFile opened = TokenFile.open(tokens);
      if (opened != null) {
        try (opened) {
          assertThatThrownBy(() -> readAll(opened))
              .isInstanceOf(UserError.class)
              .hasMessageContaining("are damaged at row")
              .hasMessageContaining("delete the file");
        }
      }
    }
  }

  private static void readAll(TokenFile file) {
    for (int i = 0; i < file.rows(); i++) {
      BadRow problem = file.problem(i);
      if (problem == null) {
        file.sample(i);
      }
    }
  }

  @Test
  void tokenizedDataServeWithoutTheirSource() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"), "{", row("two"));
    List<EncodedSample> expected;
    try (DataPipeline data = open(file)) {
      expected = samples(data);
    }
    Files.delete(file);
    String tokens = cached().getFirst().toString();
    try (DataPipeline all = open(List.of(), List.of(cache().toString()), Fixtures.chatMl());
        DataPipeline one = open(List.of(), List.of(tokens + "#1"), Fixtures.chatMl())) {
      assertThat(samples(all)).usingRecursiveComparison().isEqualTo(expected);
      assertThat(all.dropped().count(BadRow.Kind.SYNTAX)).isEqualTo(1);
      assertThat(one.training().size()).isEqualTo(1);
    }
    Object[][] bad = {
      {tokens, new PlainTemplate("<|im_end|>"), "were made with another tokenizer, template"},
      {Fixtures.write(folder.resolve("x.tokens"), "x"), Fixtures.chatMl(), "no such file"},
      {folder.resolve("gone.tokens"), Fixtures.chatMl(), "holds no tokenized data"},
    };
    for (Object[] c : bad) {
      assertThatThrownBy(() -> open(List.of(), List.of(c[0].toString()), (ChatTemplate) c[1]))
          .isInstanceOf(UserError.class)
          .hasMessageContaining(c[0].toString())
          .hasMessageContaining(String.valueOf(c[2]));
    }
  }

  @Test
  void tokenizingWithoutACacheLeavesNothing() {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"));
    Reading first = withLazy(false, null);
    DataSettings settings =
        Fixtures.settings(List.of(file.toString()), 0, null, Truncation.DELETE, false, first);
    try (DataPipeline data = DataPipeline.open(settings, tokenizer, Fixtures.chatMl())) {
      assertThat(data.notes()).containsExactly("Tokens            of 1 file made, of 0 reused");
      assertThat(data.training().get(0).length()).isPositive();
    }
    assertThat(cache()).doesNotExist();
  }

  @Test
  void lazyTokenizingContradictsWhatNeedsAllTokens() {
    assertThatThrownBy(() -> withLazy(true, new Packing(null, 1)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--lazy_tokenize true contradicts --packing true");
  }

  private static Reading withLazy(boolean lazy, @Nullable Packing packing) {
    return new Reading(
        ColumnNames.DEFAULT,
        null,
        packing,
        false,
        new Tokens(lazy, 1, null, List.of(), List.of()),
        null);
  }

  @Test
  void packsAreTrainedAsSequencesThatDoNotSeeEachOther() {
    Path file = Fixtures.path("qwen3/train.jsonl");
    DataSettings single = Fixtures.settings(file);
    DataSettings packed =
        Fixtures.settings(
            List.of(file.toString()),
            0,
            500,
            Truncation.DELETE,
            false,
            new Reading(ColumnNames.DEFAULT, null, new Packing(600, 1), false, Tokens.LAZY, null));
    BatchSource.Settings layout = new BatchSource.Settings(true, 0, 0, 1);
    try (DataPipeline plain = DataPipeline.open(single, tokenizer, Fixtures.chatMl());
        DataPipeline packs = DataPipeline.open(packed, tokenizer, Fixtures.chatMl());
        BatchSource batches =
            BatchSource.evaluation(packs.training(), 1, 0, 1, layout, Long.MAX_VALUE)) {
      int tokens = java.util.stream.IntStream.of(plain.training().lengths()).sum();
      assertThat(packs.training().size()).isEqualTo(Math.ceilDiv(tokens, 600));
      int sequences = 0;
      int seen = 0;
      while (batches.hasNext()) {
        MicroBatch batch = batches.next();
        assertThat(batch.length()).isLessThanOrEqualTo(600);
        for (int s = 0; s < batch.sequences(); s++) {
          assertThat(batch.positions()[batch.sequenceStarts()[s]]).isZero();
        }
        sequences += batch.sequences();
        seen += batch.length();
      }
      assertThat(sequences).isEqualTo(plain.training().size());
      assertThat(seen).isEqualTo(tokens);
    }
    assertThatThrownBy(
            () -> DataPipeline.open(packed.withMaxLength(601), tokenizer, Fixtures.chatMl()))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--packing_length 600 is below --max_length 601");
  }

  private static DataSettings settings(
      List<String> data, List<String> validation, @Nullable String system, Reading reading) {
    return new DataSettings(
        false,
        data,
        validation,
        0,
        42,
        false,
        false,
        system,
        null,
        Truncation.DELETE,
        LossScale.DEFAULT,
        false,
        reading);
  }

  @Test
  void tokenizedDataOfAnotherSystemPromptOrOtherColumnsAreRefused() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"));
    open(file).close();
    List<String> tokens = List.of(cached().getFirst().toString());
    Reading columns =
        new Reading(
            ColumnNames.parse("{\"ask\": \"query\"}"),
            null,
            null,
            false,
            new Tokens(null, 2, null, tokens, List.of()),
            null);
    for (DataSettings other :
        List.of(
            settings(List.of(), List.of(), "Be brief.", reading(tokens)),
            settings(List.of(), List.of(), null, columns))) {
      assertThatThrownBy(() -> DataPipeline.open(other, tokenizer, Fixtures.chatMl()))
          .isInstanceOf(UserError.class)
          .hasMessageContaining(tokens.getFirst())
          .hasMessageContaining("another --system or --columns");
    }
  }

  @Test
  void aFolderOfTokensGivesTrainingItsFilesAndValidationItsOwn() throws IOException {
    Path train = Fixtures.write(folder.resolve("a.jsonl"), row("one"), row("two"));
    Path val = Fixtures.write(folder.resolve("v.jsonl"), row("three"));
    DataSettings made =
        settings(List.of(train.toString()), List.of(val.toString()), null, reading(List.of()));
    DataPipeline.open(made, tokenizer, Fixtures.chatMl()).close();
    Files.writeString(cache().resolve("unfinished-1.part"), "x");
    Files.writeString(cache().resolve("unfinished-2.tokens"), "x");
    List<String> cached = List.of(cache().toString());
    Reading read =
        new Reading(
            ColumnNames.DEFAULT,
            null,
            null,
            false,
            new Tokens(null, 1, null, cached, cached),
            null);
    DataSettings settings = settings(List.of(), List.of(), null, read);
    try (DataPipeline data = DataPipeline.open(settings, tokenizer, Fixtures.chatMl())) {
      assertThat(samples(data)).hasSize(2);
      assertThat(data.validation().size()).isEqualTo(1);
      assertThat(data.notes()).anyMatch(n -> n.startsWith("Data files") && n.contains("a.jsonl-"));
    }
  }

  @Test
  void aFolderOfTokensIsRefusedOnceTheirDataHaveChanged() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"));
    open(file).close();
    Fixtures.write(file, row("another"));
    assertThatThrownBy(() -> open(List.of(), List.of(cache().toString()), Fixtures.chatMl()))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("are older than " + file);
    String named = cached().getFirst().toString();
    try (DataPipeline data = open(List.of(), List.of(named), Fixtures.chatMl())) {
      assertThat(samples(data)).hasSize(1);
    }
  }

  @Test
  void keptTokensHaveTheRightsOfOtherFiles() throws IOException {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("one"));
    open(file).close();
    assertThat(Files.getPosixFilePermissions(cached().getFirst()))
        .isEqualTo(Files.getPosixFilePermissions(file));
  }

  @Test
  void rowsToBeSplitAreTokenizedOnce() {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), "{\"text\": \"0123456789\"}");
    try (DataPipeline data =
        DataPipeline.open(
            Fixtures.preTraining(file, 4, Truncation.SPLIT),
            tokenizer,
            new PlainTemplate("<|im_end|>"))) {
      assertThat(data.training().size()).isEqualTo(3);
      assertThat(data.notes()).containsExactly("Tokens            of 1 file made, of 0 reused");
    }
  }
}
