package io.panatron.runtime.data;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The strategies that may follow a base in {@code --loss_scale}: each weighs stretches of a trained
 * text by what they are, such as the call of a tool.
 *
 * <p>A key weighs itself and what follows it up to the next key; a pattern weighs what it matches.
 * Whatever no key and no pattern covers weighs 1. Source: Megatron-SWIFT's {@code
 * loss_scale/config} and the papers on agents named there.
 */
enum LossWeighting {
  /** ReAct's actions count twice, what a tool observed does not. */
  REACT(
      keys(
          key("Action:", 2, 2),
          key("Action Input:", 2, 2),
          key("Thought:", 1, 1),
          key("Final Answer:", 1, 1),
          key("Observation:", 2, 0))),
  /** As {@link #REACT}, with the choice of the next agent. */
  ALPHA_UMI(Stream.concat(REACT.keys.stream(), keys(key("Next:", 2, 2)).stream()).toList()),
  /** Calls in Qwen's own format count twice, their results do not. */
  QWEN(
      keys(
          key("✿FUNCTION✿:", 2, 2),
          key("✿ARGS✿:", 2, 2),
          key("✿RETURN✿:", 1, 1),
          key("✿RESULT✿:", 2, 0))),
  /** What follows a key of Agent-FLAN counts three times, and so do answers to its questions. */
  AGENTFLAN(
      keys(
          key("Name:", 1, 3),
          key("Action:", 1, 3),
          key("ACTION:", 1, 3),
          key("Tool:", 1, 3),
          key("Command", 1, 3),
          key("Arguments:", 1, 3),
          key("action input", 1, 3),
          key("ACTION_INPUT:", 1, 3),
          key("Action Input:", 1, 3),
          key("Thought:", 1, 1),
          key("Final Answer:", 1, 1),
          key("Observation:", 2, 0)),
      List.of(
          "What is the tool you want to use",
          "What are the required parameter names",
          "What is the value of"),
      3),
  /** Tool calls in Hermes' tags count twice. */
  HERMES("<tool_call>.+?</tool_call>", 2),
  /** A block of thoughts without thoughts at the start is not trained. */
  IGNORE_EMPTY_THINK(
      "^<think>\\s*</think>\\s*"
          + "|^<seed:think><seed:cot_budget_reflect>The current thinking budget is 0, so I will"
          + " directly start answering the question.</seed:cot_budget_reflect>\n</seed:think>\\s*"
          + "|^</think>\\s*"
          + "|^<\\|channel>thought\n<channel\\|>"
          + "|^</mm:think>\\s*",
      0),
  /** The tag that opens thoughts at the start is not trained. */
  IGNORE_THINK_PREFIX("^<think>\n?", 0);

  /**
   * A literal text and its weights.
   *
   * @param own of the text itself
   * @param following of what follows it
   */
  private record Key(String text, float own, float following) {}

  private final List<Key> keys;
  private final Pattern pattern;
  private final float matched;
  private final List<String> questions;
  private final float answered;

  LossWeighting(List<Key> keys) {
    this(keys, List.of(), 1);
  }

  /**
   * Weighs by keys, unless the answer is one to certain questions.
   *
   * @param questions texts of which one in the question decides
   * @param answered the weight of the whole answer then
   */
  LossWeighting(List<Key> keys, List<String> questions, float answered) {
    this.keys = keys;
    this.questions = questions;
    this.answered = answered;
    this.matched = 1;
    // The first key listed wins where several start at the same place.
    this.pattern =
        Pattern.compile(
            keys.stream().map(key -> Pattern.quote(key.text)).collect(Collectors.joining("|")));
  }

  LossWeighting(String regex, float matched) {
    this.keys = List.of();
    this.questions = List.of();
    this.answered = 1;
    this.matched = matched;
    this.pattern = Pattern.compile(regex, Pattern.DOTALL | Pattern.UNICODE_CHARACTER_CLASS);
  }

  private static List<Key> keys(Key... keys) {
    return List.of(keys);
  }

  private static Key key(String text, float own, float following) {
    return new Key(text, own, following);
  }

  /**
   * The stretches of a text with their weights; none is empty.
   *
   * @param question the message that the text answers, if there is one
   */
  List<WeightedText> weigh(String text, @Nullable String question) {
    if (question != null && questions.stream().anyMatch(question::contains)) {
      return List.of(new WeightedText(text, answered));
    }
    List<WeightedText> parts = new ArrayList<>();
    Matcher matcher = pattern.matcher(text);
    float between = 1;
    int done = 0;
    while (matcher.find()) {
      add(parts, text.substring(done, matcher.start()), between);
      Key key = keyOf(matcher.group());
      add(parts, matcher.group(), key == null ? matched : key.own);
      between = key == null ? 1 : key.following;
      done = matcher.end();
    }
    add(parts, text.substring(done), between);
    return parts;
  }

  private @Nullable Key keyOf(String text) {
    return keys.stream().filter(key -> key.text.equals(text)).findFirst().orElse(null);
  }

  private static void add(List<WeightedText> parts, String text, float weight) {
    if (!text.isEmpty()) {
      parts.add(new WeightedText(text, weight));
    }
  }
}
