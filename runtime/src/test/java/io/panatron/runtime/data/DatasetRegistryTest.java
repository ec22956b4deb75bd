package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DatasetRegistryTest {
  private static final String INFO =
      """
      [{"dataset_name": "asks", "dataset_path": "data/asks.jsonl",
        "columns": {"ask": "query", "reply": "response", "query": "_"}, "tags": ["x"]},
       {"ms_dataset_id": "org/parts", "dataset_path": "data/parts",
        "columns": {"q": "query"},
        "subsets": ["en", {"subset": "de", "name": "deutsch", "columns": {"frage": "query"}}]},
       {"hf_dataset_id": "org/hub", "columns": {"a": "response"}, "split": ["train"]},
       {"dataset_path": "data/single", "subsets": ["default"]}]
      """;

  @TempDir Path folder;
  private String info = "";

  @BeforeEach
  void write() throws IOException {
    Files.createDirectories(folder.resolve("data/parts"));
    info = Files.writeString(folder.resolve("info.json"), INFO).toString();
  }

  @ParameterizedTest
  @CsvSource({
    "asks, %/data/asks.jsonl, ask",
    "asks#5, %/data/asks.jsonl#5, ask",
    "org/parts:en, %/data/parts:en, q",
    "org/parts:deutsch#7, %/data/parts:de#7, frage",
    "%/data/parts:en, %/data/parts:en, q",
    "%/data/x/../asks.jsonl, %/data/asks.jsonl, ask",
    "org/hub:x#2, org/hub:x#2, a",
    "%/data/single, %/data/single,",
    "elsewhere.jsonl#3, elsewhere.jsonl#3,"
  })
  void namesBecomePaths(String value, String path, String column) {
    DatasetRegistry.Resolved resolved =
        DatasetRegistry.read(List.of(info))
            .resolve("--dataset", value.replace("%", folder.toString()));
    assertThat(resolved.value()).isEqualTo(path.replace("%", folder.toString()));
    if (column == null) {
      assertThat(resolved.columns()).isNull();
    } else {
      assertThat(resolved.columns()).isNotNull();
      assertThat(resolved.columns().renamed()).containsKey(column);
    }
  }

  @Test
  void eachDataSetIsReadByItsOwnColumns() {
    Path asks = folder.resolve("data/asks.jsonl");
    Fixtures.write(
        asks, "{\"ask\": \"one\", \"reply\": \"two\", \"query\": \"hidden\"}", "{\"ask\": 1}");
    Path plain =
        Fixtures.write(folder.resolve("p.jsonl"), "{\"query\": \"Q\", \"response\": \"R\"}");
    Map<String, ColumnNames> columns = new HashMap<>();
    List<String> data =
        DatasetRegistry.read(List.of(info))
            .resolve("--dataset", List.of("asks", plain.toString()), columns);
    List<String> texts = new ArrayList<>();
    for (Tokens tokens : List.of(Tokens.LAZY, new Tokens(false, 2, null, List.of(), List.of()))) {
      Reading reading =
          new Reading(ColumnNames.DEFAULT, null, null, false, tokens, null).with(columns);
      try (HfTokenizer tokenizer = Fixtures.tokenizer("qwen3");
          DataPipeline opened =
              DataPipeline.open(
                  Fixtures.settings(data, 0, null, Truncation.DELETE, false, reading),
                  tokenizer,
                  Fixtures.chatMl())) {
        for (int i = 0; i < opened.training().size(); i++) {
          texts.add(tokenizer.decode(opened.training().get(i).ids(), true));
        }
        assertThat(opened.dropped().total()).isEqualTo(1);
      }
    }
    assertThat(texts)
        .containsExactly(
            "user\none\nassistant\ntwo\n",
            "user\nQ\nassistant\nR\n",
            "user\none\nassistant\ntwo\n",
            "user\nQ\nassistant\nR\n");
  }

  @Test
  void streamedRowsAreReadByTheirOwnColumns() {
    Fixtures.write(folder.resolve("data/asks.jsonl"), "{\"ask\": \"one\", \"reply\": \"two\"}");
    Map<String, ColumnNames> columns = new HashMap<>();
    List<String> data =
        DatasetRegistry.read(List.of(info)).resolve("--dataset", List.of("asks"), columns);
    Reading reading =
        new Reading(ColumnNames.DEFAULT, null, null, false, Tokens.LAZY, new Streaming(1, 1))
            .with(columns);
    try (HfTokenizer tokenizer = Fixtures.tokenizer("qwen3");
        DataPipeline opened =
            DataPipeline.open(
                Fixtures.settings(data, 0, null, Truncation.DELETE, false, reading),
                tokenizer,
                Fixtures.chatMl());
        SampleStream stream = opened.openStream()) {
      List<EncodedSample> sample = stream.next();
      assertThat(sample).isNotNull();
      assertThat(tokenizer.decode(sample.getFirst().ids(), true))
          .isEqualTo("user\none\nassistant\ntwo\n");
    }
  }

  @Test
  void whatCannotBeUnderstoodIsRefused() throws IOException {
    DatasetRegistry registry = DatasetRegistry.read(List.of(info));
    assertThatThrownBy(() -> registry.resolve("--dataset", "org/parts"))
        .isInstanceOf(UserError.class)
        .hasMessage(
            "--dataset org/parts has the subsets en, deutsch; name one, as in org/parts:en");
    assertThatThrownBy(() -> registry.resolve("--dataset", "org/parts:fr"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("asks for a subset that --custom_dataset_info does not list");
    for (String[] bad :
        new String[][] {
          {"nofile", "is no file, nor a list in JSON"},
          {"{}", "does not hold a list of data sets"},
          {"[{}]", "entry 1, names no data set"},
          {"[3]", "entry 1, is not a JSON object"},
          {"[{\"dataset_path\": 3}]", "has a dataset_path that is not a text"},
          {"[{\"dataset_path\": \"a\", \"messages\": {}}]", "has messages, which is not supported"},
          {"[{\"dataset_path\": \"a\", \"split\": [\"test\"]}]", "asks for the split 'test'"},
          {"[{\"dataset_path\": \"a\", \"columns\": {\"b\": \"querry\"}}]", "use query"},
          {"[{\"dataset_path\": \"a\"}, {\"dataset_path\": \"a\"}]", "a second time"}
        }) {
      assertThatThrownBy(() -> DatasetRegistry.read(List.of(bad[0])))
          .isInstanceOf(UserError.class)
          .hasMessageContaining(bad[1]);
    }
    Path torn = Files.writeString(folder.resolve("torn.json"), "[{");
    assertThatThrownBy(() -> DatasetRegistry.read(List.of(torn.toString())))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(torn + " is not valid JSON");
  }
}
