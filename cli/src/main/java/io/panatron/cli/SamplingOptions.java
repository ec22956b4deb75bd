package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.generate.GenerationSettings;
import io.panatron.runtime.generate.Sampling;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How answers are drawn and where they end. */
final class SamplingOptions {
  @Option(
      names = "--temperature",
      paramLabel = "X",
      description =
          "0 takes the most probable token; above 0 draws, the wilder the higher; default: 0, or 1"
              + " where --top_k or --top_p is given.")
  private @Nullable Double temperature;

  @Option(
      names = "--top_k",
      paramLabel = "N",
      description = "Draw among the N most probable tokens; default: 0, which means all.")
  private @Nullable Integer topK;

  @Option(
      names = "--top_p",
      paramLabel = "X",
      description =
          "Draw among the most probable tokens that together have probability X; default: 1.")
  private @Nullable Double topP;

  @Option(
      names = "--repetition_penalty",
      defaultValue = "1",
      paramLabel = "X",
      description = "Above 1 makes tokens of the prompt and the answer less probable; default: 1.")
  private double repetitionPenalty = 1;

  @Option(
      names = "--seed",
      defaultValue = "42",
      paramLabel = "N",
      description = "Seed of the draws; each answer has its own random stream; default: 42.")
  private long seed = 42;

  @Option(
      names = {"--num_return_sequences", "--n"},
      defaultValue = "1",
      paramLabel = "N",
      description = "Answers to each prompt; default: 1.")
  private int samples = 1;

  @Option(
      names = "--stop_words",
      arity = "1..*",
      paramLabel = "TEXT",
      description = "Texts that end an answer and are no part of it.")
  private List<String> stopWords = new ArrayList<>();

  @Option(
      names = "--batch_invariant",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "BOOL",
      description =
          "Give each answer the same bits whatever is answered beside it, which is slower; default:"
              + " false.")
  private boolean batchInvariant;

  @Option(names = "--num_beams", hidden = true)
  private @Nullable String numBeams;

  @Option(names = "--do_sample", hidden = true, arity = "0..1", fallbackValue = "true")
  private @Nullable Boolean doSample;

  /**
   * Texts that end an answer.
   *
   * @throws UserError if one is empty
   */
  List<String> stopWords() {
    if (stopWords.contains("")) {
      throw new UserError("--stop_words has an empty text, which would end every answer at once.");
    }
    return List.copyOf(stopWords);
  }

  /** Answers to each prompt. */
  int samples() {
    return samples;
  }

  /**
   * The way of drawing that was asked for.
   *
   * @throws UserError if there is none such
   */
  Sampling sampling() {
    if (numBeams != null && !numBeams.equals("1")) {
      throw new UserError(
          "--num_beams %s is not supported: answers are drawn one token at a time; leave it out."
              .formatted(numBeams));
    }
    int limit = topK == null || topK == -1 ? 0 : topK; // other programs say -1 for all
    double share = topP == null ? 1 : topP;
    boolean narrowed = limit != 0 || share != 1;
    boolean drawn = Boolean.TRUE.equals(doSample) || topK != null || topP != null;
    double chosen = temperature != null ? temperature : drawn ? 1 : 0;
    Sampling asked = new Sampling(chosen, limit, share, repetitionPenalty);
    if (Boolean.FALSE.equals(doSample)) {
      if (narrowed || (temperature != null && temperature != 0)) {
        throw new UserError(
            "--do_sample false takes the most probable token each time; leave out --temperature,"
                + " --top_k and --top_p, or --do_sample.");
      }
      return new Sampling(0, 0, 1, repetitionPenalty);
    }
    if (chosen == 0 && (narrowed || Boolean.TRUE.equals(doSample))) {
      throw new UserError(
          "--temperature 0 takes the most probable token each time; leave out --top_k, --top_p and"
              + " --do_sample, or give a temperature above 0.");
    }
    return asked;
  }

  /** What to generate. */
  GenerationSettings settings(int maxNewTokens, Set<Integer> stopTokens, int batchSize) {
    return new GenerationSettings(
        sampling(), maxNewTokens, stopTokens, samples, seed, batchSize, batchInvariant);
  }
}
