package io.panatron.runtime.quickstart;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TaskDataTest {
  @TempDir private Path folder;

  @Test
  void thereAreAtLeastThreeKindsOfTasksInBothParts() {
    TaskData data = TaskData.draw(1, 700, 300, 20);
    Map<Task, Integer> train = count(data.train());
    assertThat(train)
        .hasSizeGreaterThanOrEqualTo(3)
        .containsEntry(Task.ADDITION, 700)
        .containsEntry(Task.SORTING, 300);
    assertThat(count(data.heldOut()).values())
        .hasSize(Task.values().length)
        .allMatch(rows -> rows == 20);
  }

  @Property(tries = 10)
  void noHeldOutPromptOccursInTraining(@ForAll @LongRange(min = 0, max = 0xFFFF_FFFFL) long seed) {
    TaskData data = TaskData.draw(seed, 7_000, 2_000, 100);
    Set<String> train = prompts(data.train());
    Set<String> heldOut = prompts(data.heldOut());
    assertThat(heldOut).hasSize(data.heldOut().size()).noneMatch(train::contains);
    assertThat(train).hasSize(data.train().size());
  }

  @Property(tries = 10)
  void noHeldOutQuestionOccursInTrainingWithItsPartsSwapped(
      @ForAll @LongRange(min = 0, max = 0xFFFF_FFFFL) long seed) {
    TaskData data = TaskData.draw(seed, 7_000, 2_000, 100);
    Set<String> train = prompts(data.train());
    Set<String> sorted =
        data.train().stream()
            .filter(row -> row.task() == Task.SORTING)
            .map(TaskRow::answer)
            .collect(Collectors.toSet());
    for (TaskRow row : data.heldOut()) {
      String[] words = row.prompt().split(" ", -1);
      switch (row.task()) {
        case ADDITION ->
            assertFalse(train.contains(words[2] + " + " + words[0] + " ="), row::prompt);
        case REVERSAL -> assertFalse(train.contains("reverse " + row.answer()), row::prompt);
        case SORTING -> assertFalse(sorted.contains(row.answer()), row::prompt);
      }
    }
  }

  @Property(tries = 5)
  void everyAnswerIsRight(@ForAll @LongRange(min = 0, max = 0xFFFF_FFFFL) long seed) {
    TaskData data = TaskData.draw(seed, 1_000, 1_000, 100);
    for (TaskRow row : data.train()) {
      assertThat(row.answer()).as(row.prompt()).isEqualTo(solve(row.prompt()));
    }
    for (TaskRow row : data.heldOut()) {
      assertThat(row.answer()).as(row.prompt()).isEqualTo(solve(row.prompt()));
    }
  }

  /** Works out the answer from the prompt alone. */
  private static String solve(String prompt) {
    String[] words = prompt.split(" ", -1);
    return switch (words[0]) {
      case "reverse" -> new StringBuilder(words[1]).reverse().toString();
      case "sort" ->
          words[1].chars().sorted().mapToObj(Character::toString).collect(Collectors.joining());
      default -> {
        assertThat(prompt).matches("[1-9][0-9] \\+ [1-9][0-9] =");
        yield Integer.toString(Integer.parseInt(words[0]) + Integer.parseInt(words[2]));
      }
    };
  }

  @Test
  void aSeedDecidesTheRows() {
    assertThat(TaskData.draw(7, 100, 100, 10)).isEqualTo(TaskData.draw(7, 100, 100, 10));
    assertThat(TaskData.draw(7, 100, 100, 10)).isNotEqualTo(TaskData.draw(8, 100, 100, 10));
  }

  @Test
  void trainingRowsAreMixed() {
    List<Task> first =
        TaskData.draw(3, 100, 100, 10).train().subList(0, 60).stream().map(TaskRow::task).toList();
    assertThat(first).contains(Task.values());
  }

  @Test
  void rowsAreWrittenAsMessages() throws Exception {
    Path file = folder.resolve("rows.jsonl");
    TaskData.write(List.of(new TaskRow(Task.ADDITION, "37 + 91 =", "128")), file);
    JsonNode row = new ObjectMapper().readTree(Files.readAllLines(file).getFirst());
    assertThat(row)
        .isEqualTo(
            new ObjectMapper()
                .readTree(
                    """
                    {"messages": [{"role": "user", "content": "37 + 91 ="},
                                  {"role": "assistant", "content": "128"}]}\
                    """));
  }

  @Test
  void aSharedPromptIsRefused() {
    TaskRow row = new TaskRow(Task.ADDITION, "37 + 91 =", "128");
    assertThatThrownBy(() -> new TaskData(List.of(row), List.of(row)))
        .hasMessageContaining("37 + 91 =");
  }

  private static Set<String> prompts(List<TaskRow> rows) {
    return rows.stream().map(TaskRow::prompt).collect(Collectors.toCollection(HashSet::new));
  }

  private static Map<Task, Integer> count(List<TaskRow> rows) {
    Map<Task, Integer> counts = new EnumMap<>(Task.class);
    rows.forEach(row -> counts.merge(row.task(), 1, Integer::sum));
    return counts;
  }
}
