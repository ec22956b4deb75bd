package io.panatron.cli;

import io.panatron.runtime.UserError;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * Options that other programs use to draw answers at random: known so that they can be refused by
 * name where they would change a greedy answer.
 */
final class SamplingOptions {
  @Option(names = "--temperature", hidden = true)
  private @Nullable String temperature;

  @Option(names = "--top_k", hidden = true)
  private @Nullable String topK;

  @Option(names = "--top_p", hidden = true)
  private @Nullable String topP;

  @Option(names = "--repetition_penalty", hidden = true)
  private @Nullable String repetitionPenalty;

  @Option(names = "--num_beams", hidden = true)
  private @Nullable String numBeams;

  @Option(names = "--do_sample", hidden = true, arity = "0..1", fallbackValue = "true")
  private @Nullable String doSample;

  /** Refuses every option that asks for something other than greedy decoding. */
  void requireGreedy() {
    Map<String, @Nullable String> given = new LinkedHashMap<>();
    given.put("temperature", neutral(temperature, "0", "0.0"));
    given.put("top_k", neutral(topK, "1"));
    given.put("top_p", neutral(topP, "1", "1.0"));
    given.put("repetition_penalty", neutral(repetitionPenalty, "1", "1.0"));
    given.put("num_beams", neutral(numBeams, "1"));
    given.put("do_sample", neutral(doSample, "false"));
    given.forEach((name, value) -> {
      if (value != null) {
        throw new UserError(
            "--%s %s is not supported yet: answers are greedy, the most probable token each time."
                .formatted(name, value));
      }
    });
  }

  private static @Nullable String neutral(@Nullable String value, String... greedy) {
    return value != null && java.util.List.of(greedy).contains(value) ? null : value;
  }
}
