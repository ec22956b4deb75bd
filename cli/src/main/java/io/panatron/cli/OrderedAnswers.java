package io.panatron.cli;

import io.panatron.runtime.generate.Answer;
import io.panatron.runtime.generate.AnswerListener;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Brings answers that are made side by side into the order of their prompts: the first one that is
 * not complete is shown as it grows, the later ones wait.
 */
final class OrderedAnswers implements AnswerListener {
  private final List<PromptOptions.Prompt> prompts;
  private final int samples;
  private final AnswerOutput output;
  private final Map<Integer, StringBuilder> waitingText = new HashMap<>();
  private final Map<Integer, Answer> waiting = new HashMap<>();
  private int current;

  /**
   * @param samples answers to each prompt
   */
  OrderedAnswers(List<PromptOptions.Prompt> prompts, int samples, AnswerOutput output) {
    this.prompts = List.copyOf(prompts);
    this.samples = samples;
    this.output = output;
    begin();
  }

  @Override
  public void piece(int prompt, int sample, String text) {
    int place = prompt * samples + sample;
    if (place == current) {
      output.piece(text);
    } else {
      waitingText.computeIfAbsent(place, key -> new StringBuilder()).append(text);
    }
  }

  @Override
  public void ended(Answer answer) {
    waiting.put(answer.completion().prompt() * samples + answer.completion().sample(), answer);
    Answer next;
    while ((next = waiting.remove(current)) != null) {
      output.end(prompts.get(current / samples), next);
      current++;
      begin();
    }
  }

  private void begin() {
    if (current < prompts.size() * samples) {
      output.begin(prompts.get(current / samples), current % samples);
      StringBuilder text = waitingText.remove(current);
      if (text != null) {
        output.piece(text.toString());
      }
    }
  }
}
