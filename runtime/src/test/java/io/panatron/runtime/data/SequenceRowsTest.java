package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.data.SequenceTask.PairLabel;
import io.panatron.runtime.data.SequenceTask.ProblemType;
import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** How rows become labelled sequences, and which of them are taken. */
class SequenceRowsTest {
  private static final SequenceTask RANKING = new SequenceTask.Reranking(1, 2);

  private static SequenceExample example(SequenceTask task, String system, String row)
      throws BadRow {
    SequenceExample example =
        new RowParser(false, system, ColumnNames.DEFAULT, false, task)
            .parse(row.replace('\'', '"'))
            .example();
    assertThat(example).isNotNull();
    return example;
  }

  private static SequenceTask classes(ProblemType problem, int labels) {
    return new SequenceTask.Classification(problem, labels);
  }

  private static List<String> texts(List<Message> conversation) {
    return conversation.stream().map(m -> m.role() + " " + m.content()).toList();
  }

  @Test
  void aLabelMayStandInQuotesAsInATable() throws BadRow {
    String row = "{'query': 'a', 'label': %s}";
    SequenceTask one = classes(ProblemType.SINGLE_LABEL_CLASSIFICATION, 3);
    SequenceTask many = classes(ProblemType.MULTI_LABEL_CLASSIFICATION, 3);
    SequenceTask numbers = classes(ProblemType.REGRESSION, 2);

    for (String label : List.of("2", "'2'", "2.0")) {
      SequenceExample example = example(one, null, row.formatted(label));
      assertThat(example.tags())
          .containsExactly(new SequenceTag(SequenceRole.SINGLE, List.of(2.0)));
      assertThat(texts(example.conversations().getFirst())).containsExactly("user a");
    }
    assertThat(example(many, null, row.formatted("'[2, 0]'")).tags().getFirst().labels())
        .containsExactly(2.0, 0.0);
    assertThat(example(many, null, row.formatted("[]")).tags().getFirst().labels()).isEmpty();
    assertThat(example(numbers, null, row.formatted("[0.5, -3]")).tags().getFirst().labels())
        .containsExactly(0.5, -3.0);
  }

  @Test
  void aPairHasTheSystemPromptInBothAndOneLabel() throws BadRow {
    SequenceExample example =
        example(
            new SequenceTask.Embedding("cosine_similarity", PairLabel.NUMBER, null, false),
            "S",
            "{'messages': [{'role': 'user', 'content': 'a'}], 'positive_messages':"
                + " [[{'role': 'user', 'content': 'b'}]], 'label': 0.3}");

    assertThat(example.conversations().stream().map(SequenceRowsTest::texts))
        .containsExactly(List.of("system S", "user a"), List.of("system S", "user b"));
    assertThat(example.tags())
        .containsExactly(
            SequenceTag.of(SequenceRole.ANCHOR, 0.3), SequenceTag.of(SequenceRole.POSITIVE, 0.3));
  }

  @Test
  void aDocumentsOwnInstructionCountsBeforeTheQuerys() throws BadRow {
    SequenceExample example =
        example(
            RANKING,
            "S",
            "{'messages': [{'role': 'system', 'content': 'Q'}, {'role': 'user', 'content': 'a'}],"
                + " 'positive_messages': [[{'role': 'system', 'content': 'D'},"
                + " {'role': 'assistant', 'content': 'b'}]],"
                + " 'negative_messages': [[{'role': 'assistant', 'content': 'c'}]]}");

    assertThat(example.conversations().stream().map(SequenceRowsTest::texts))
        .containsExactly(
            List.of("system D", "user a", "assistant b"),
            List.of("system Q", "user a", "assistant c"));
  }

  /** A row of sequences of 1, 2, 3, ... tokens, each of its own number. */
  private static EncodedSample row(SequenceRole... roles) {
    List<EncodedSample> sequences = new ArrayList<>();
    for (int s = 0; s < roles.length; s++) {
      int[] ids = new int[s + 1];
      java.util.Arrays.fill(ids, s);
      SequenceTag tag = SequenceTag.of(roles[s], 0);
      sequences.add(
          new EncodedSample(
              ids, new float[s + 1], null, new SampleParts(new int[] {s + 1}, List.of(tag))));
    }
    return SampleParts.join(sequences);
  }

  private static List<Integer> chosen(SequenceTask task, EncodedSample row, long draw) {
    SequenceChoice choice = new SequenceChoice(task, Truncation.DELETE, Integer.MAX_VALUE, 42);
    return choice.choose(row, draw).sequences().stream().map(s -> s.ids()[0]).toList();
  }

  @Test
  void candidatesBeyondWhatIsAskedForAreDrawnAnewEachTimeInTheOrderOfTheRow() {
    EncodedSample row =
        row(
            SequenceRole.POSITIVE,
            SequenceRole.POSITIVE,
            SequenceRole.NEGATIVE,
            SequenceRole.NEGATIVE,
            SequenceRole.NEGATIVE,
            SequenceRole.NEGATIVE);
    Set<List<Integer>> seen = new HashSet<>();
    for (long draw = 0; draw < 400; draw++) {
      List<Integer> group = chosen(RANKING, row, draw);
      assertThat(group).hasSize(3).isEqualTo(chosen(RANKING, row, draw));
      assertThat(group.get(0)).isIn(0, 1);
      assertThat(group.get(1)).isGreaterThanOrEqualTo(2).isLessThan(group.get(2));
      seen.add(group);
    }
    // Two positives, and two of four negatives.
    assertThat(seen).hasSize(2 * 6);
    assertThat(chosen(new SequenceTask.Reranking(5, 9), row, 1))
        .containsExactly(0, 2, 3, 4, 5, 1, 2, 3, 4, 5);
  }

  @Test
  void anEmbeddingKeepsTheFirstNegativesThatAreAskedFor() {
    EncodedSample row =
        row(
            SequenceRole.ANCHOR,
            SequenceRole.POSITIVE,
            SequenceRole.NEGATIVE,
            SequenceRole.NEGATIVE);
    assertThat(chosen(new SequenceTask.Embedding("infonce", PairLabel.NONE, 1, true), row, 3))
        .containsExactly(0, 1, 2);
    assertThat(chosen(new SequenceTask.Embedding("infonce", PairLabel.NONE, null, false), row, 3))
        .containsExactly(0, 1, 2, 3);
  }

  @Test
  void eachSequenceIsCutToTheLimitOnItsOwn() {
    EncodedSample row = row(SequenceRole.ANCHOR, SequenceRole.POSITIVE, SequenceRole.NEGATIVE);
    SequenceTask pairs = new SequenceTask.Embedding("infonce", PairLabel.NONE, null, false);
    EncodedSample cut = new SequenceChoice(pairs, Truncation.LEFT, 2, 42).choose(row, 0);

    assertThat(row.longest()).isEqualTo(3);
    assertThat(cut.sequences().stream().map(EncodedSample::length)).containsExactly(1, 2, 2);
    assertThat(cut.ids()).containsExactly(0, 1, 1, 2, 2);
    MicroBatch batch = MicroBatch.padded(cut.sequences(), 9, new int[] {0});
    assertThat(batch.tokens()).containsExactly(0, 9, 1, 1, 2, 2);
    assertThat(batch.targets().lastTokens()).containsExactly(0, 3, 5);
  }
}
