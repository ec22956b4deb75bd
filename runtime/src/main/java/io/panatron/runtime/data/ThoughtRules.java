package io.panatron.runtime.data;

import io.panatron.runtime.data.ChatTurns.Part;
import io.panatron.runtime.data.ChatTurns.Round;
import io.panatron.runtime.data.jinja.PythonText;
import java.util.ArrayList;
import java.util.List;

/**
 * What becomes of thoughts between {@code <think>} and {@code </think>}: answers without any may
 * get an empty block in front, and thoughts of earlier rounds may be left out.
 *
 * <p>Source: Megatron-SWIFT's {@code Template._add_non_thinking_prefix} and {@code
 * _remove_history_thinking}.
 *
 * @param answerStart what a new answer starts with
 * @param empty the block for answers without thoughts; empty for none
 * @param forgets whether thoughts of earlier rounds are left out
 * @param lastRound whether training looks at the last round alone ({@code --loss_scale
 *     last_round}); else it adds blocks in every round and keeps all thoughts
 */
record ThoughtRules(String answerStart, String empty, boolean forgets, boolean lastRound) {
  private static final String START = "<think>";
  private static final String END = "</think>";

  /** What the options make of a format's way to think. */
  static ThoughtRules of(ChatFormat.Thoughts format, TemplateOptions options) {
    Boolean enabled = options.enableThinking();
    boolean thinks = enabled == null ? format.expected() : enabled;
    String prefix = options.responsePrefix();
    boolean adds = options.addNonThinkingPrefix() == null || options.addNonThinkingPrefix();
    return new ThoughtRules(
        prefix != null ? prefix : thinks ? format.opening() : format.empty(),
        adds ? format.empty() : "",
        format.expected() || thinks,
        options.lastRound());
  }

  /** Changes the answers of a conversation. */
  void apply(List<Round> rounds, boolean training) {
    boolean all = training && !lastRound;
    int last = ChatTurns.lastQuestion(rounds);
    for (int i = 0; i < rounds.size(); i++) {
      Round round = rounds.get(i);
      if (round.answer().isEmpty()) {
        continue;
      }
      if ((all || i >= last) && !empty.isEmpty()) {
        rounds.set(i, marked(round));
      }
      if (!all && i < last && forgets) {
        rounds.set(i, forgotten(round));
      }
    }
  }

  private Round marked(Round round) {
    String text = round.answerText();
    if (text.startsWith(START) || text.startsWith(empty)) {
      return round;
    }
    List<Part> parts = new ArrayList<>(round.answer());
    Part first = parts.getFirst();
    parts.set(0, new Part(empty + first.text(), first.message()));
    return round.withAnswer(parts);
  }

  private static Round forgotten(Round round) {
    String text = round.answerText();
    int end = text.lastIndexOf(END);
    String rest = end < 0 ? text : text.substring(end + END.length());
    return round.withAnswer(
        List.of(new Part(PythonText.strip(rest), round.answer().getFirst().message())));
  }
}
