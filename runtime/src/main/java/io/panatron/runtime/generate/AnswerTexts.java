package io.panatron.runtime.generate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Follows the tokens of samples and makes their texts, ending them at stop strings. */
final class AnswerTexts implements TokenListener {
  private final Function<int[], String> decode;
  private final List<String> stops;
  private final AnswerListener listener;
  private final Map<Key, AnswerText> growing = new HashMap<>();
  private final List<Answer> answers = new ArrayList<>();

  private record Key(int prompt, int sample) {}

  AnswerTexts(Function<int[], String> decode, List<String> stops, AnswerListener listener) {
    if (stops.contains("")) {
      throw new IllegalArgumentException("an empty stop string ends every answer at once");
    }
    this.decode = decode;
    this.stops = stops;
    this.listener = listener;
  }

  @Override
  public boolean goesOnAfter(int prompt, int sample, int token) {
    AnswerText text = textOf(prompt, sample);
    boolean stopped = text.append(token);
    give(prompt, sample, text);
    return !stopped;
  }

  @Override
  public void ended(Completion completion) {
    AnswerText text = textOf(completion.prompt(), completion.sample());
    text.finish();
    give(completion.prompt(), completion.sample(), text);
    growing.remove(new Key(completion.prompt(), completion.sample()));
    Answer answer = new Answer(completion, text.text());
    answers.add(answer);
    listener.ended(answer);
  }

  /** The answers that have ended, by prompt and sample. */
  List<Answer> answers() {
    List<Answer> sorted = new ArrayList<>(answers);
    sorted.sort(
        Comparator.comparingInt((Answer answer) -> answer.completion().prompt())
            .thenComparingInt(answer -> answer.completion().sample()));
    return sorted;
  }

  private AnswerText textOf(int prompt, int sample) {
    return growing.computeIfAbsent(new Key(prompt, sample), key -> new AnswerText(decode, stops));
  }

  private void give(int prompt, int sample, AnswerText text) {
    String fresh = text.takeFresh();
    if (!fresh.isEmpty()) {
      listener.piece(prompt, sample, fresh);
    }
  }
}
