package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataPipelineTest {
  @TempDir Path folder;
  private final HfTokenizer tokenizer = Fixtures.tokenizer("qwen3");

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private static String row(String answer) {
    return "{\"messages\": [{\"role\": \"user\", \"content\": \"Q\"},"
        + " {\"role\": \"assistant\", \"content\": \""
        + answer
        + "\"}]}";
  }

  private Path rows(String name, int n) {
    return Fixtures.write(
        folder.resolve(name),
        IntStream.range(0, n).mapToObj(i -> row("n" + i)).toArray(String[]::new));
  }

  private DataPipeline open(DataSettings settings) {
    return DataPipeline.open(settings, tokenizer, Fixtures.chatMl());
  }

  private DataPipeline open(
      List<String> dataset, double split, @Nullable Integer max, Truncation t, boolean s) {
    return open(Fixtures.settings(dataset, split, max, t, s));
  }

  /** The answers of a set, read back from its tokens. */
  private List<String> answers(SampleSet set) {
    List<String> answers = new ArrayList<>();
    for (int i = 0; i < set.size(); i++) {
      String text = tokenizer.decode(set.get(i).ids(), true);
      answers.add(text.substring(text.indexOf("assistant\n") + 10).strip());
    }
    return answers;
  }

  @Test
  void malformedRowsAreLeftOutAndReportedWithFileAndLine() throws IOException {
    Path file = folder.resolve("a.jsonl");
    Files.write(file, (row("a") + "\r\n\n{oops\n  \n" + row("b")).getBytes(StandardCharsets.UTF_8));
    try (DataPipeline data = open(Fixtures.settings(file))) {
      assertThat(answers(data.training())).containsExactly("a", "b");
      assertThat(data.training().location(1)).isEqualTo(file + ":5");
      assertThat(data.dropped().count(BadRow.Kind.SYNTAX)).isEqualTo(1);
      assertThat(data.dropped().examples(BadRow.Kind.SYNTAX))
          .singleElement()
          .asString()
          .startsWith(file + ":3 is not valid JSON");
    }
  }

  @Test
  void strictFailsAtTheFirstMalformedRow() {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("a"), "[]");
    DataSettings strict =
        new DataSettings(
            false,
            List.of(file.toString()),
            List.of(),
            0,
            42,
            false,
            false,
            null,
            null,
            Truncation.DELETE,
            LossScale.DEFAULT,
            true,
            Reading.DEFAULT);
    assertThatThrownBy(() -> open(strict))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(file + ":2 is not a JSON object");
  }

  @Test
  void badUtf8IsABadRowAndAByteOrderMarkIsNot() throws IOException {
    Path file = folder.resolve("a.jsonl");
    byte[] bytes = ("\ufeff" + row("a") + "\n" + row("X") + "\n").getBytes(StandardCharsets.UTF_8);
    bytes[bytes.length - 6] = (byte) 0xc0;
    Files.write(file, bytes);
    try (DataPipeline data = open(Fixtures.settings(file))) {
      assertThat(answers(data.training())).containsExactly("a");
      assertThat(data.dropped().examples(BadRow.Kind.SYNTAX))
          .containsExactly(file + ":2 is not valid UTF-8");
    }
  }

  @Test
  void onlySamplesOverTheLimitAreDeleted() {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("a"), row("1".repeat(40)), row("b"));
    try (DataPipeline all = open(List.of(file.toString()), 0, 1000, Truncation.DELETE, false)) {
      int longest = all.training().get(1).length();
      assertThat(all.dropped().total()).isZero();
      try (DataPipeline exact =
              open(List.of(file.toString()), 0, longest, Truncation.DELETE, false);
          DataPipeline less =
              open(List.of(file.toString()), 0, longest - 1, Truncation.DELETE, false)) {
        assertThat(exact.training().size()).isEqualTo(3);
        assertThat(answers(less.training())).containsExactly("a", "b");
        assertThat(less.dropped().count(BadRow.Kind.LENGTH)).isEqualTo(1);
        assertThat(less.dropped().examples(BadRow.Kind.LENGTH))
            .containsExactly(
                file + ":2 has " + longest + " tokens, more than --max_length " + (longest - 1));
      }
    }
  }

  @Test
  void truncationKeepsTheAskedSide() {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("0123456789"));
    try (DataPipeline all = open(Fixtures.settings(file));
        DataPipeline left = open(List.of(file.toString()), 0, 7, Truncation.LEFT, false);
        DataPipeline right = open(List.of(file.toString()), 0, 7, Truncation.RIGHT, false)) {
      EncodedSample whole = all.training().get(0);
      int n = whole.length();
      assertThat(left.training().get(0).ids()).isEqualTo(whole.range(n - 7, n).ids());
      assertThat(left.training().get(0).weights()).isEqualTo(whole.range(n - 7, n).weights());
      assertThat(right.training().get(0).ids()).isEqualTo(whole.range(0, 7).ids());
    }
  }

  @Test
  void preTrainingTextEndsWithTheEndTokenAndMayBeSplit() {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), "{\"text\": \"0123456789\"}");
    PlainTemplate plain = new PlainTemplate("<|im_end|>");
    try (DataPipeline data =
            DataPipeline.open(
                Fixtures.preTraining(file, null, Truncation.DELETE), tokenizer, plain);
        DataPipeline split =
            DataPipeline.open(Fixtures.preTraining(file, 4, Truncation.SPLIT), tokenizer, plain)) {
      EncodedSample whole = data.training().get(0);
      assertThat(tokenizer.decode(whole.ids(), false)).isEqualTo("0123456789<|im_end|>");
      assertThat(whole.weights()).containsOnly(1f);
      assertThat(split.training().size()).isEqualTo(3);
      int[] joined =
          IntStream.range(0, 3).flatMap(i -> IntStream.of(split.training().get(i).ids())).toArray();
      assertThat(joined).isEqualTo(whole.ids());
    }
  }

  @Test
  void aSplitTakesItsShareAndLosesNothing() {
    String file = rows("a.jsonl", 20).toString();
    try (DataPipeline data = open(List.of(file), 0.25, null, Truncation.DELETE, true);
        DataPipeline again = open(List.of(file), 0.25, null, Truncation.DELETE, true)) {
      assertThat(data.validation().size()).isEqualTo(5);
      List<String> all = answers(data.training());
      assertThat(all).isEqualTo(answers(again.training()));
      all.addAll(answers(data.validation()));
      assertThat(all).hasSize(20).doesNotHaveDuplicates();
      assertThat(answers(data.validation())).isEqualTo(answers(again.validation()));
    }
  }

  @Test
  void shufflingIsTorchsPermutationOfTheDataSeed() {
    String file = rows("a.jsonl", 12).toString();
    try (DataPipeline data = open(List.of(file), 0, null, Truncation.DELETE, true)) {
      List<String> expected =
          IntStream.of(new TorchRandom(42).permutation(12)).mapToObj(i -> "n" + i).toList();
      assertThat(answers(data.training())).isEqualTo(expected);
    }
  }

  @Test
  void countsSampleAndRepeat() {
    String file = rows("a.jsonl", 5).toString();
    try (DataPipeline few = open(List.of(file + "#3"), 0, null, Truncation.DELETE, false);
        DataPipeline many = open(List.of(file + "#12"), 0, null, Truncation.DELETE, false)) {
      assertThat(answers(few.training())).hasSize(3).doesNotHaveDuplicates();
      List<String> drawn = answers(many.training());
      assertThat(drawn).hasSize(12);
      assertThat(drawn.subList(0, 10))
          .containsExactly("n0", "n1", "n2", "n3", "n4", "n0", "n1", "n2", "n3", "n4");
      assertThat(drawn.subList(10, 12)).doesNotHaveDuplicates();
    }
  }

  @Test
  void aFolderGivesItsFilesInOrderOfName() {
    Fixtures.write(folder.resolve("b.jsonl"), row("b"));
    Fixtures.write(folder.resolve("a.jsonl"), row("a"));
    Fixtures.write(folder.resolve("c.txt"), "not read");
    try (DataPipeline data = open(Fixtures.settings(folder))) {
      assertThat(answers(data.training())).containsExactly("a", "b");
    }
  }

  @Test
  void unusablePathsAreUserErrors() throws IOException {
    Path text = Files.writeString(folder.resolve("a.xlsx"), "x");
    Path empty = Files.writeString(folder.resolve("empty.jsonl"), "\n\n");
    Path good = rows("good.jsonl", 2);
    String[][] cases = {
      {"someone/some-data", "organisation/name with --use_hf true"},
      {text.toString(), "is not .jsonl, .json, .csv or .txt"},
      {empty.toString(), "no training sample is left"},
      {good + "#0", "a number of rows from 1"},
      {good + "#many", "a number of rows from 1"},
      {Files.createDirectory(folder.resolve("none")).toString(), "without data files"},
    };
    for (String[] c : cases) {
      assertThatThrownBy(() -> open(Fixtures.settings(Path.of(c[0]))))
          .isInstanceOf(UserError.class)
          .hasMessageContaining(c[1])
          .hasMessageContaining(c[0]);
    }
  }

  @Test
  void contradictingSettingsAreUserErrors() {
    assertThatThrownBy(() -> Fixtures.settings(List.of(), 0, null, Truncation.DELETE, false))
        .isInstanceOf(UserError.class);
    assertThatThrownBy(() -> Fixtures.settings(List.of("x"), 1, null, Truncation.DELETE, false))
        .isInstanceOf(UserError.class);
    assertThatThrownBy(() -> Fixtures.settings(List.of("x"), 0, 0, Truncation.DELETE, false))
        .isInstanceOf(UserError.class);
    assertThatThrownBy(() -> Fixtures.settings(List.of("x"), 0, 9, Truncation.SPLIT, false))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("pt only");
  }

  @Test
  void aSystemPromptMayLieInATextFile() throws IOException {
    Path file = Files.writeString(folder.resolve("s.txt"), "Be brief.");
    assertThat(DataSettings.systemPrompt(file.toString())).isEqualTo("Be brief.");
    assertThat(DataSettings.systemPrompt("Be long.")).isEqualTo("Be long.");
    assertThatThrownBy(() -> DataSettings.systemPrompt("missing.txt"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--system missing.txt cannot be read");
  }

  @Test
  void plainTextStartsWithTheBeginTokenWhereTheTokenizerAsksForIt() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    Files.copy(Fixtures.path("qwen3/tokenizer.json"), model.resolve("tokenizer.json"));
    Path config = model.resolve("tokenizer_config.json");
    Files.writeString(
        config,
        """
        {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "add_bos_token": true}\
        """);
    Path file = Fixtures.write(folder.resolve("a.jsonl"), "{\"text\": \"x\"}");
    DataSettings settings = Fixtures.preTraining(file, null, Truncation.DELETE);
    try (HfTokenizer begins = HfTokenizer.open(model);
        DataPipeline data = DataPipeline.open(settings, begins, Fixtures.plain(begins))) {
      assertThat(begins.decode(data.training().get(0).ids(), false))
          .isEqualTo("<|endoftext|>x<|im_end|>");
    }
    Files.writeString(config, "{\"eos_token\": \"<|im_end|>\", \"add_bos_token\": true}");
    try (HfTokenizer lacking = HfTokenizer.open(model)) {
      assertThatThrownBy(
              () -> DataPipeline.open(settings, lacking, new PlainTemplate("<|im_end|>")))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("names no bos_token");
    }
  }

  @Test
  void aSubsetIsAFolderOrTheFilesNamedLikeIt() throws IOException {
    Fixtures.write(folder.resolve("en-00001-of-00002.jsonl"), row("two"));
    Fixtures.write(folder.resolve("en-00000-of-00002.jsonl"), row("one"));
    Fixtures.write(folder.resolve("english.jsonl"), row("no"));
    Fixtures.write(Files.createDirectory(folder.resolve("de")).resolve("x.jsonl"), row("drei"));
    try (DataPipeline en = open(Fixtures.settings(Path.of(folder + ":en")));
        DataPipeline de = open(Fixtures.settings(Path.of(folder + ":de#2")))) {
      assertThat(answers(en.training())).containsExactly("one", "two");
      assertThat(answers(de.training())).containsExactly("drei", "drei");
    }
    assertThatThrownBy(() -> open(Fixtures.settings(Path.of(folder + ":fr"))))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("finds neither a folder 'fr' nor data files of that name");
    assertThatThrownBy(() -> open(Fixtures.settings(Path.of(folder + "/english.jsonl:a"))))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("only folders have subsets");
  }

  @Test
  void aFolderOfOneOtherFormatIsReadAndAMixtureIsNot() throws IOException {
    Path mixed = Files.createDirectory(folder.resolve("mixed"));
    Fixtures.write(mixed.resolve("a.csv"), "query,response", "Q,from csv");
    Fixtures.write(mixed.resolve("readme.txt"), "remarks");
    try (DataPipeline data = open(Fixtures.settings(mixed))) {
      assertThat(answers(data.training())).containsExactly("from csv");
    }
    Fixtures.write(mixed.resolve("b.json"), "[]");
    assertThatThrownBy(() -> open(Fixtures.settings(mixed)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("files of several formats (.json, .csv); name the files of one");
  }

  @Test
  void dataSetsOfDifferentFormatsFollowEachOther() throws IOException {
    Path csv = Fixtures.write(folder.resolve("a.csv"), "prompt,completion", "Q,\"one, two\"");
    Path json = Files.writeString(folder.resolve("b.json"), "[" + row("three") + "]");
    List<String> all =
        List.of(
            csv.toString(), json.toString(), Fixtures.path("formats/chat-snappy.parquet") + "#2");
    try (DataPipeline data = open(Fixtures.settings(all, 0, null, Truncation.DELETE, false))) {
      assertThat(answers(data.training())).hasSize(4).startsWith("one, two", "three");
      assertThat(answers(data.training()).get(2)).startsWith("r\u00e9");
    }
  }

  @Test
  void whatIsDroppedIsCountedByItsReason() {
    Path file =
        Fixtures.write(
            folder.resolve("a.jsonl"), row("a"), "{", "{\"x\": 1}", "[]", row("1".repeat(60)), "{");
    try (DataPipeline data = open(List.of(file.toString()), 0, 40, Truncation.DELETE, false)) {
      List<String> lines = data.dropped().describe();
      assertThat(lines.getFirst()).isEqualTo("Left out          5 rows:");
      assertThat(lines)
          .contains(
              "  3 rows malformed:",
              "  1 row without the columns of a sample:",
              "  1 row longer than --max_length:");
      assertThat(lines).anyMatch(l -> l.startsWith("    " + file + ":3 has no column 'messages'"));
    }
  }

  @Test
  void mixedDataSetsAreSplitBeforeTheyAreMixed() {
    String a = rows("a.jsonl", 40).toString();
    Path other = folder.resolve("b.jsonl");
    Fixtures.write(
        other, IntStream.range(0, 10).mapToObj(i -> row("m" + i)).toArray(String[]::new));
    Reading mixed =
        new Reading(
            ColumnNames.DEFAULT,
            new Mixing(List.of(0.5, 0.5), true),
            null,
            false,
            Tokens.LAZY,
            null);
    try (DataPipeline data =
        open(
            Fixtures.settings(
                List.of(a, other.toString()), 0.2, null, Truncation.DELETE, false, mixed))) {
      List<String> training = answers(data.training());
      List<String> validation = answers(data.validation());
      assertThat(validation).hasSize(10).doesNotHaveDuplicates();
      assertThat(training).doesNotContainAnyElementsOf(validation).hasSizeGreaterThan(40);
      assertThat(training.stream().distinct()).hasSize(40);
    }
    Path empty = Fixtures.write(folder.resolve("c.jsonl"), "{");
    assertThatThrownBy(() ->
            open(
                Fixtures.settings(
                    List.of(a, empty.toString()), 0, null, Truncation.DELETE, false, mixed)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("none of the rows of number 2 can be used");
  }

  @Test
  void lossOfAMessageComesThroughParquet() {
    Path file = Fixtures.path("formats/chat-zstd.parquet");
    try (DataPipeline data = open(Fixtures.settings(file))) {
      assertThat(data.training().get(0).weights()).as("loss true").contains(1f);
      float[] untrained = data.training().get(1).weights();
      int trained = 0;
      for (float weight : untrained) {
        trained += weight == 0 ? 0 : 1;
      }
      assertThat(trained).as("loss false: only the suffix, two tokens").isEqualTo(2);
    }
  }

  @Test
  void aFolderOfJsonLinesAndOtherDataIsRefusedRatherThanHalfRead() throws IOException {
    Fixtures.write(folder.resolve("a.jsonl"), row("a"));
    Fixtures.write(folder.resolve("b.csv"), "query,response", "Q,b");
    assertThatThrownBy(() -> open(Fixtures.settings(folder)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("files of several formats (.jsonl, .csv)");
  }

  @Test
  void aFileBesideItsCompressedTwinIsRefused() throws IOException {
    Fixtures.write(folder.resolve("a.jsonl"), row("a"));
    Files.write(folder.resolve("a.jsonl.gz"), new byte[] {31});
    assertThatThrownBy(() -> open(Fixtures.settings(folder)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("holds both a.jsonl and a.jsonl.gz");
  }

  @Test
  void theFilesThatAFolderGaveAreSaid() {
    for (String name : List.of("a", "b", "c", "d", "e", "f", "g")) {
      Fixtures.write(folder.resolve(name + ".jsonl"), row(name));
    }
    try (DataPipeline data = open(Fixtures.settings(folder))) {
      assertThat(data.notes())
          .containsExactly(
              "Data files        "
                  + folder
                  + " gives a.jsonl, b.jsonl, c.jsonl, d.jsonl, e.jsonl and 2 more");
    }
  }

  @Test
  void aCountBeyondWhatCanBeOrderedIsAUserError() {
    String file = rows("a.jsonl", 2).toString();
    assertThatThrownBy(() -> open(List.of(file + "#300000000"), 0, null, Truncation.DELETE, false))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(file + "#300000000 asks for more rows")
        .hasMessageContaining("lower the number");
  }

  @Test
  void aSplitThatTakesTheOnlyRowSaysSo() {
    String file = rows("a.jsonl", 1).toString();
    assertThatThrownBy(() -> open(List.of(file), 0.1, null, Truncation.DELETE, false))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--split_dataset_ratio 0.1 takes at least one row for validation");
  }

  @Test
  void aTooLongRowCountsOnceHoweverOftenItIsDrawn() {
    Path file = Fixtures.write(folder.resolve("a.jsonl"), row("a"), row("1".repeat(60)));
    try (DataPipeline data = open(List.of(file + "#10"), 0, 40, Truncation.DELETE, false)) {
      assertThat(data.training().size()).isEqualTo(5);
      assertThat(data.dropped().count(BadRow.Kind.LENGTH)).isEqualTo(1);
    }
  }

  @Test
  void bytesInAColumnThatIsNotReadDoNoHarm() {
    try (DataPipeline data = open(Fixtures.settings(Fixtures.path("formats/binary.parquet")))) {
      assertThat(answers(data.training())).containsExactly("r1", "r2");
      assertThat(data.dropped().total()).isZero();
    }
  }

  @Test
  void bytesInAColumnThatIsReadMakeABadRow() {
    Path file = Fixtures.path("formats/binary.parquet");
    Reading images =
        new Reading(
            ColumnNames.parse("{\"image\": \"system\"}"), null, null, false, Tokens.LAZY, null);
    try (DataPipeline data =
        open(
            Fixtures.settings(
                List.of(file.toString()), 0, null, Truncation.DELETE, false, images))) {
      assertThat(answers(data.training())).containsExactly("r2");
      assertThat(data.dropped().examples(BadRow.Kind.CONTENT))
          .singleElement()
          .asString()
          .startsWith(file + ":1 has a column 'image' that is not a string");
    }
  }

  @Test
  void theIdentityOfDataKnowsContentAndOrderButNotTheirFolder() throws IOException {
    Path file = rows("a.jsonl", 5);
    Map<String, String> first = identity(Fixtures.settings(file));
    Path moved = Files.createDirectory(folder.resolve("moved")).resolve("a.jsonl");
    Files.copy(file, moved);
    assertThat(identity(Fixtures.settings(moved))).isEqualTo(first);
    Fixtures.write(moved, Files.readString(file).strip().replace("n3", "m3"));
    Map<String, String> changed = identity(Fixtures.settings(moved));
    assertThat(changed.get("--dataset")).isNotEqualTo(first.get("--dataset"));
    Map<String, String> shuffled =
        identity(Fixtures.settings(List.of(file.toString()), 0, null, Truncation.DELETE, true));
    assertThat(shuffled.get("--dataset")).isEqualTo(first.get("--dataset"));
    assertThat(shuffled.get("--dataset_shuffle")).isNotEqualTo(first.get("--dataset_shuffle"));
  }

  private Map<String, String> identity(DataSettings settings) {
    try (DataPipeline data = open(settings)) {
      return data.identity();
    }
  }
}
