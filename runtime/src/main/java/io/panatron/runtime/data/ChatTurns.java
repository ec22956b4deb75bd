package io.panatron.runtime.data;

import io.panatron.runtime.data.agent.AgentException;
import io.panatron.runtime.data.agent.AgentFormat;
import io.panatron.runtime.data.agent.ToolCall;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Orders messages into rounds of a question and an answer. Neighbouring messages of one side are
 * joined, calls of tools become part of the answer, and results of tools take a question's place.
 *
 * <p>Source: Megatron-SWIFT's {@code Template._swift_prepare_inputs}.
 */
final class ChatTurns {
  /**
   * A part of an answer.
   *
   * @param message the index of the message it comes from
   */
  record Part(String text, int message) {}

  /**
   * A question and its answer.
   *
   * @param asked the user's text; with {@code told}, all that stands between the answer before and
   *     this one
   * @param told whether tools spoke rather than the user
   * @param answer without parts if there is none yet
   */
  record Round(String asked, boolean told, List<Part> answer) {
    String answerText() {
      return answer.size() == 1
          ? answer.getFirst().text()
          : answer.stream().map(Part::text).collect(Collectors.joining());
    }

    Round withAnswer(List<Part> parts) {
      return new Round(asked, told, parts);
    }

    Round withAsked(String text) {
      return new Round(text, told, answer);
    }
  }

  private final List<Message> messages;
  private final AgentFormat agent;
  private final UnaryOperator<String> userTurn;
  private final List<Round> rounds = new ArrayList<>();
  private @Nullable String asked;
  private boolean told;
  private List<Part> answer = new ArrayList<>();

  private ChatTurns(List<Message> messages, AgentFormat agent, UnaryOperator<String> userTurn) {
    this.messages = messages;
    this.agent = agent;
    this.userTurn = userTurn;
  }

  /**
   * The rounds of a conversation; a system message is passed over.
   *
   * @param userTurn see {@link AgentFormat#results}
   * @throws TemplateException if messages stand in an order that makes no rounds
   */
  static List<Round> of(List<Message> messages, AgentFormat agent, UnaryOperator<String> userTurn) {
    return new ChatTurns(messages, agent, userTurn).read();
  }

  /** The index of the last round in which the user speaks; 0 if there is none. */
  static int lastQuestion(List<Round> rounds) {
    int i = rounds.size() - 1;
    while (i > 0 && rounds.get(i).told()) {
      i--;
    }
    return i;
  }

  private List<Round> read() {
    int i = 0;
    while (i < messages.size()) {
      int end = i + 1;
      switch (messages.get(i).role()) {
        case "user" -> ask(i);
        case "assistant" -> answer.add(new Part(messages.get(i).content(), i));
        case "tool_call" -> {
          end = endOfRun(i, "tool_call");
          answer.add(new Part(calls(messages.subList(i, end)), i));
        }
        case "tool" -> {
          end = endOfRun(i, "tool");
          tell(i, end);
        }
        default -> {} // the system message
      }
      i = end;
    }
    if (asked != null || !answer.isEmpty()) {
      endRound();
    }
    return rounds;
  }

  private int endOfRun(int from, String role) {
    int end = from + 1;
    while (end < messages.size() && messages.get(end).role().equals(role)) {
      end++;
    }
    return end;
  }

  private void ask(int i) {
    if (!answer.isEmpty()) {
      endRound();
    }
    if (told) {
      throw new TemplateException(
          "has the user speak in message %d, where an answer to the tools belongs"
              .formatted(i + 1));
    }
    String text = messages.get(i).content();
    asked = asked == null ? text : asked + text;
  }

  private String calls(List<Message> list) {
    try {
      return agent.calls(list.stream().map(m -> ToolCall.parse(m.content())).toList());
    } catch (AgentException e) {
      throw new TemplateException("has " + e.getMessage(), e);
    }
  }

  private void tell(int from, int end) {
    if (answer.isEmpty()) {
      throw new TemplateException(
          "has a tool's response as message %d, before which nothing calls it".formatted(from + 1));
    }
    Round before = new Round("", false, answer);
    AgentFormat.Results results =
        agent.results(
            before.answerText(),
            messages.subList(from, end).stream().map(Message::content).toList(),
            userTurn);
    if (!results.answerEnd().isEmpty()) {
      Part last = answer.removeLast();
      answer.add(new Part(last.text() + results.answerEnd(), last.message()));
    }
    endRound();
    asked = results.context();
    told = true;
  }

  private void endRound() {
    rounds.add(new Round(asked == null ? "" : asked, told, List.copyOf(answer)));
    asked = null;
    told = false;
    answer = new ArrayList<>();
  }
}
