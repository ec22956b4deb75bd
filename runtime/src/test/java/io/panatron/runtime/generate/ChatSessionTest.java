package io.panatron.runtime.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.DType;
import io.panatron.runtime.UserError;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.parallel.RankContext;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatSessionTest {
  @TempDir private Path folder;
  private RankContext rank;
  private Answering answering;
  private Generator generator;

  @BeforeEach
  void open() {
    SmallModel.write(folder);
    rank = SmallModel.reference();
    answering = Answering.open(folder, TemplateOptions.DEFAULT.withTemplate("chatml"));
    answering.loadOrInitialize(rank, DType.F64, 200, 5);
    generator = answering.generator(rank);
  }

  @AfterEach
  void close() {
    answering.close();
    rank.close();
  }

  private GenerationSettings settings(int newTokens) {
    return new GenerationSettings(
        new Sampling(0.9, 0, 0.9, 1.1), newTokens, answering.stopTokens(), 1, 3, 1, false);
  }

  private ChatSession session(int newTokens, List<String> stops) {
    return new ChatSession(answering, generator, settings(newTokens), stops, "be brief");
  }

  @Test
  void aLaterTurnIsAnsweredAsTheWholeConversationWouldBe() {
    try (ChatSession session = session(12, List.of())) {
      session.say("one", piece -> {});
      List<Message> before = session.messages();
      StringBuilder streamed = new StringBuilder();
      Answer second = session.say("two", streamed::append);
      assertThat(streamed.toString()).isEqualTo(second.text());
      assertThat(session.messages())
          .hasSize(5)
          .startsWith(before.toArray(Message[]::new))
          .endsWith(new Message("user", "two"), new Message("assistant", second.text()));
      // The turn's number selects the random stream, as a prompt's number does.
      int[] whole = answering.encode(session.messages().subList(0, 4));
      List<Completion> fresh =
          generator.generate(List.of(whole, whole), settings(12), TokenListener.NONE);
      assertThat(second.completion().tokens()).isEqualTo(fresh.get(1).tokens());
    }
  }

  @Test
  void onlyWhatIsNewInAConversationIsRead() {
    try (ChatSession session = session(8, List.of())) {
      session.say("a question of many letters", piece -> {});
      List<Message> before = session.messages();
      long read = generator.throughput().promptTokens();
      int first = answering.encode(before.subList(0, 2)).length;
      assertThat(read).isEqualTo(first);
      session.say("b", piece -> {});
      int whole = answering.encode(session.messages().subList(0, 4)).length;
      assertThat(generator.throughput().promptTokens() - read).isLessThanOrEqualTo(whole - first);
    }
  }

  @Test
  void aClearedConversationStartsAnewButKeepsItsSystemPrompt() {
    try (ChatSession session = session(8, List.of())) {
      session.say("a", piece -> {});
      session.clear();
      assertThat(session.messages()).containsExactly(new Message("system", "be brief"));
      session.say("b", piece -> {});
      assertThat(session.messages()).hasSize(3);
    }
  }

  @Test
  void anAnswerEndsBeforeAStopString() {
    Answer whole;
    try (ChatSession session = session(12, List.of())) {
      whole = session.say("x", piece -> {});
    }
    String stop = whole.text().substring(3, 5);
    try (ChatSession session = session(12, List.of(stop))) {
      StringBuilder streamed = new StringBuilder();
      Answer cut = session.say("x", streamed::append);
      assertThat(cut.text())
          .isEqualTo(whole.text().substring(0, whole.text().indexOf(stop)))
          .isEqualTo(streamed.toString());
      assertThat(cut.completion().reason()).isEqualTo(StopReason.STOP_STRING);
    }
  }

  @Test
  void aConversationThatBecameTooLongIsRefusedAndUnchanged() {
    try (ChatSession session = session(8, List.of())) {
      List<Message> before = session.messages();
      assertThatThrownBy(() -> session.say("x".repeat(200), piece -> {}))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("the model takes 200");
      assertThat(session.messages()).isEqualTo(before);
    }
  }

  @Test
  void anAnswerThatBrokeOffLeavesNoTraceInTheNext() {
    String untouched;
    try (ChatSession session = session(12, List.of())) {
      session.say("one", piece -> {});
      session.clear();
      untouched = session.say("one", piece -> {}).text();
    }
    try (ChatSession session = session(12, List.of())) {
      session.say("one", piece -> {});
      session.clear();
      assertThatThrownBy(() ->
              session.say(
                  "ten",
                  piece -> {
                    throw new IllegalStateException("nobody listens");
                  }))
          .hasMessage("nobody listens");
      assertThat(session.say("one", piece -> {}).text()).isEqualTo(untouched);
    }
  }

  @Test
  void answersOfABatchAreTextsWithTheirReasons() {
    GenerationSettings settings =
        new GenerationSettings(new Sampling(0.9, 0, 1, 1), 10, Set.of(), 2, 3, 3, false);
    List<int[]> prompts =
        List.of(
            answering.encode(List.of(new Message("user", "one"))),
            answering.encode(List.of(new Message("user", "twelve"))));
    StringBuilder streamed = new StringBuilder();
    List<Answer> answers =
        answering.answer(
            generator,
            prompts,
            settings,
            List.of(),
            new AnswerListener() {
              @Override
              public void piece(int prompt, int sample, String text) {
                if (prompt == 1 && sample == 1) {
                  streamed.append(text);
                }
              }
            });
    assertThat(answers).hasSize(4);
    for (Answer answer : answers) {
      assertThat(answer.text()).isEqualTo(answering.decode(answer.completion().tokens()));
    }
    assertThat(streamed.toString()).isEqualTo(answers.get(3).text());
  }
}
