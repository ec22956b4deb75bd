package io.panatron.runtime.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which files of a repository are rows to train on. */
class DatasetSelectionTest {
  private static final HubRepository REPOSITORY =
      new HubRepository(HubRepository.Kind.DATASET, "org/set", "main");

  private static List<String> training(String card, String subset, String... files) {
    DatasetSelection selection =
        new DatasetSelection(
            REPOSITORY, Arrays.stream(files).map(f -> new HubFile(f, 1, null)).toList());
    DatasetCard read = card == null ? null : DatasetCard.of("org/set", card);
    return selection.training(read, subset).stream().map(HubFile::path).toList();
  }

  @Test
  void filesWithoutASplitInTheirNamesAreAllTaken() {
    assertThat(training(null, null, "b.jsonl", "a.jsonl", "README.md", ".hidden.jsonl"))
        .containsExactly("a.jsonl", "b.jsonl");
  }

  @Test
  void aWordInAFoldersNameGoesBeforeOneInAFiles() {
    assertThat(training(null, null, "train/dev.csv", "test/train.csv"))
        .containsExactly("train/dev.csv");
    assertThat(training(null, null, "my_train_file.csv", "my_dev_file.csv"))
        .containsExactly("my_train_file.csv");
    assertThat(training(null, null, "trained.csv", "other.csv"))
        .containsExactly("other.csv", "trained.csv");
  }

  @Test
  void aSubsetWithoutACardIsAFolder() {
    assertThat(training(null, "en", "en/train.jsonl", "en/test.jsonl", "de/train.jsonl"))
        .containsExactly("en/train.jsonl");
    assertThatThrownBy(() -> training(null, "fr", "en/train.jsonl"))
        .hasMessageContaining("no data files in fr/");
  }

  @Test
  void theFormatOfMostFilesIsRead() {
    assertThat(training(null, null, "a.jsonl", "b.json", "c.csv"))
        .containsExactly("a.jsonl", "b.json");
    assertThatThrownBy(() -> training(null, null, "a.arrow")).hasMessageContaining("no data files");
    assertThatThrownBy(() -> training(null, null, "test.jsonl"))
        .hasMessageContaining("no split named train");
  }

  @Test
  void aCardMayNameAFolderListsAndADefault() {
    String card =
        """
        ---
        configs:
        - config_name: a
          data_dir: folder/a/
        - config_name: b
          default: true
          data_files:
            train: ["x.jsonl", "y*.jsonl"]
            test: z.jsonl
        ---
        """;
    String[] files = {"folder/a/train.csv", "folder/a/test.csv", "x.jsonl", "y1.jsonl", "z.jsonl"};
    assertThat(training(card, null, files)).containsExactly("x.jsonl", "y1.jsonl");
    assertThat(training(card, "a", files)).containsExactly("folder/a/train.csv");
  }

  @Test
  void aHeadThatIsNoYamlIsRefusedAndOneWithoutEndIsText() {
    assertThatThrownBy(() -> DatasetCard.of("org/set", "---\na: [1\nb: }\n---\n"))
        .hasMessageContaining("README.md of org/set");
    assertThat(DatasetCard.of("org/set", "---\nconfigs:\n").configs()).isEmpty();
    assertThat(DatasetCard.of("org/set", "---\n---\n").configs()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "data/*.jsonl, data/a.jsonl, true",
    "data/*.jsonl, data/b/a.jsonl, false",
    "**/*.jsonl, a.jsonl, true",
    "**/*.jsonl, x/y/a.jsonl, true",
    "**, x/y, true",
    "train-[0-9]?.csv, train-12.csv, true",
    "train-[!0-9].csv, train-1.csv, false",
    "./a+b.csv, a+b.csv, true",
    "a.csv, axcsv, false"
  })
  void patternsAreThoseOfAShell(String pattern, String path, boolean matches) {
    assertThat(DatasetSelection.glob(pattern).matcher(path).matches()).isEqualTo(matches);
  }
}
