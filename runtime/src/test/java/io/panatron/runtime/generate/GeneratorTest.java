package io.panatron.runtime.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.panatron.runtime.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GeneratorTest {
  private static final Sampling SAMPLED = new Sampling(0.9, 100, 0.95, 1.1);

  /** Sums of a cached and of a whole pass have other orders. */
  private static final double DOUBLE_ROUNDING = 1e-9;

  @TempDir private Path folder;
  private SmallModel model;
  private List<int[]> prompts;

  @BeforeEach
  void open() {
    model = SmallModel.open(folder);
    Random random = new Random(1);
    prompts = new ArrayList<>();
    for (int length : new int[] {5, 1, 17, 9, 2, 30, 3}) {
      prompts.add(random.ints(length, 0, 250).toArray());
    }
  }

  @AfterEach
  void close() {
    model.close();
  }

  private static GenerationSettings settings(Sampling sampling, int samples, int batchSize) {
    return new GenerationSettings(sampling, 12, Set.of(7, 8, 9, 10), samples, 3, batchSize, false);
  }

  private List<Completion> generate(List<int[]> asked, GenerationSettings settings) {
    return model.generator().generate(asked, settings, TokenListener.NONE);
  }

  private static void assertSame(List<Completion> actual, List<Completion> expected) {
    assertThat(actual).usingRecursiveComparison().isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 50})
  void aSampleHasTheSameBitsWhateverIsDecodedBesideIt(int batchSize) {
    assertSame(
        generate(prompts, settings(SAMPLED, 3, batchSize)),
        generate(prompts, settings(SAMPLED, 3, 7)));
    List<int[]> first = prompts.subList(0, 1);
    assertSame(
        generate(first, settings(SAMPLED, 3, batchSize)),
        generate(prompts, settings(SAMPLED, 3, 7)).subList(0, 3));
  }

  @Test
  void furtherSamplesChangeNothingAboutTheFirst() {
    List<Completion> several = generate(prompts, settings(SAMPLED, 4, 6));
    List<Completion> one = generate(prompts, settings(SAMPLED, 1, 6));
    assertThat(several).hasSize(4 * prompts.size());
    for (int prompt = 0; prompt < prompts.size(); prompt++) {
      assertSame(List.of(several.get(4 * prompt)), List.of(one.get(prompt)));
      assertThat(several.get(4 * prompt).tokens())
          .isNotEqualTo(several.get(4 * prompt + 1).tokens());
    }
  }

  @Test
  void anotherSeedGivesOtherSamples() {
    GenerationSettings other =
        new GenerationSettings(SAMPLED, 12, Set.of(7, 8, 9, 10), 1, 4, 4, false);
    assertThat(generate(prompts, other).getFirst().tokens())
        .isNotEqualTo(generate(prompts, settings(SAMPLED, 1, 4)).getFirst().tokens());
  }

  @Test
  void greedyTokensAndLogProbabilitiesAreThoseOfAPassWithoutCache() {
    Sampler sampler = new Sampler(model.loaded.config().vocabSize());
    for (Completion completion : generate(prompts, settings(Sampling.GREEDY, 1, 3))) {
      int[] sequence = prompts.get(completion.prompt());
      for (int i = 0; i < completion.tokens().length; i++) {
        Sampler.Draw draw =
            sampler.draw(model.logitsAfter(sequence), Sampling.GREEDY, null, new Random(1));
        assertThat(completion.tokens()[i]).isEqualTo(draw.token());
        assertThat(completion.logProbabilities()[i])
            .isCloseTo(draw.logProbability(), within(DOUBLE_ROUNDING));
        sequence = Arrays.copyOf(sequence, sequence.length + 1);
        sequence[sequence.length - 1] = draw.token();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5, 11})
  void behindAWindowTokensAreThoseOfAPassWithoutCacheToo(int window) {
    model.close();
    model = SmallModel.openWithWindow(folder, window);
    GenerationSettings settings =
        new GenerationSettings(Sampling.GREEDY, 33, Set.of(), 2, 3, 3, false);
    Sampler sampler = new Sampler(model.loaded.config().vocabSize());
    List<Completion> completions = generate(prompts, settings);
    assertThat(completions).hasSize(2 * prompts.size());
    for (Completion completion : completions) {
      int[] sequence = prompts.get(completion.prompt());
      for (int i = 0; i < completion.tokens().length; i++) {
        Sampler.Draw draw =
            sampler.draw(model.logitsAfter(sequence), Sampling.GREEDY, null, new Random(1));
        assertThat(completion.tokens()[i]).isEqualTo(draw.token());
        assertThat(completion.logProbabilities()[i])
            .isCloseTo(draw.logProbability(), within(DOUBLE_ROUNDING));
        sequence = Arrays.copyOf(sequence, sequence.length + 1);
        sequence[sequence.length - 1] = draw.token();
      }
    }
    assertSame(
        generate(prompts, new GenerationSettings(SAMPLED, 33, Set.of(), 3, 3, 2, false)),
        generate(prompts, new GenerationSettings(SAMPLED, 33, Set.of(), 3, 3, 50, false)));
  }

  @Test
  void logProbabilitiesAreThoseOfTheDistributionThatWasDrawnFrom() {
    Sampler sampler = new Sampler(model.loaded.config().vocabSize());
    for (Completion completion : generate(prompts, settings(SAMPLED, 2, 4))) {
      int[] sequence = prompts.get(completion.prompt());
      for (int i = 0; i < completion.tokens().length; i++) {
        BitSet seen = new BitSet();
        Arrays.stream(sequence).forEach(seen::set);
        int token = completion.tokens()[i];
        double[] distribution = sampler.distribution(model.logitsAfter(sequence), SAMPLED, seen);
        assertThat(completion.logProbabilities()[i])
            .isCloseTo(Math.log(distribution[token]), within(DOUBLE_ROUNDING));
        sequence = Arrays.copyOf(sequence, sequence.length + 1);
        sequence[sequence.length - 1] = token;
      }
    }
  }

  @Test
  void aSampleEndsWithAStopTokenOrAtItsLimit() {
    List<Completion> completions = generate(prompts, settings(SAMPLED, 20, 16));
    Set<Integer> stops = Set.of(7, 8, 9, 10);
    for (Completion completion : completions) {
      int[] tokens = completion.tokens();
      boolean stopped = stops.contains(tokens[tokens.length - 1]);
      assertThat(completion.reason())
          .isEqualTo(stopped ? StopReason.STOP_TOKEN : StopReason.LENGTH);
      assertThat(tokens.length).isLessThanOrEqualTo(12);
      assertThat(stopped || tokens.length == 12).isTrue();
      assertThat(Arrays.stream(tokens, 0, tokens.length - 1)).noneMatch(stops::contains);
      assertThat(completion.logProbabilities()).hasSameSizeAs(tokens);
    }
    assertThat(completions).extracting(Completion::reason).contains(StopReason.STOP_TOKEN);
  }

  @Test
  void theListenerHearsEveryTokenAndMayEndASample() {
    List<Integer> heard = new ArrayList<>();
    List<Completion> ended = new ArrayList<>();
    TokenListener listener =
        new TokenListener() {
          @Override
          public boolean goesOnAfter(int prompt, int sample, int token) {
            if (prompt == 2) {
              heard.add(token);
            }
            return prompt != 2 || heard.size() < 3;
          }

          @Override
          public void ended(Completion completion) {
            ended.add(completion);
          }
        };
    GenerationSettings settings = new GenerationSettings(SAMPLED, 12, Set.of(), 1, 3, 4, false);
    List<Completion> completions = model.generator().generate(prompts, settings, listener);
    Completion third = completions.get(2);
    assertThat(third.reason()).isEqualTo(StopReason.STOP_STRING);
    assertThat(Arrays.stream(third.tokens()).boxed().toList()).isEqualTo(heard).hasSize(3);
    assertThat(ended).containsExactlyInAnyOrderElementsOf(completions);
    assertThat(ended.getFirst()).as("the short one leaves first").isSameAs(third);
  }

  @Test
  void aPromptIsReadOnceForAllItsSamplesAndEachTokenComputedOnce() {
    Generator generator = model.generator();
    GenerationSettings settings = new GenerationSettings(SAMPLED, 6, Set.of(), 5, 3, 4, false);
    generator.generate(prompts, settings, TokenListener.NONE);
    int promptTokens = prompts.stream().mapToInt(prompt -> prompt.length).sum();
    assertThat(generator.throughput().promptTokens()).isEqualTo(promptTokens);
    assertThat(generator.throughput().newTokens()).isEqualTo(5L * 6 * prompts.size());
  }

  @Test
  void theCacheGrowsWithTheLongestSampleAndIsGivenBack() {
    long before = model.rank.memory().usedBytes();
    GenerationSettings settings = GenerationSettings.greedy(600, Set.of(), 2);
    List<Completion> completions = generate(prompts.subList(2, 4), settings);
    assertThat(model.rank.memory().usedBytes()).isEqualTo(before);
    int[] tokens = completions.getFirst().tokens();
    assertThat(tokens).hasSize(600);
    int[] sequence = Arrays.copyOf(prompts.get(2), prompts.get(2).length + 599);
    System.arraycopy(tokens, 0, sequence, prompts.get(2).length, 599);
    Sampler sampler = new Sampler(model.loaded.config().vocabSize());
    assertThat(
            sampler.draw(model.logitsAfter(sequence), Sampling.GREEDY, null, new Random(1)).token())
        .isEqualTo(tokens[599]);
  }

  @Test
  void aBatchInvariantRunGivesTheSameSamples() {
    GenerationSettings invariant =
        new GenerationSettings(SAMPLED, 12, Set.of(7, 8, 9, 10), 3, 3, 5, true);
    assertSame(generate(prompts, invariant), generate(prompts, settings(SAMPLED, 3, 5)));
  }

  @Test
  void whatCannotBeGeneratedIsRefused() {
    assertThat(generate(List.of(), settings(SAMPLED, 1, 4))).isEmpty();
    assertThatThrownBy(() -> generate(List.of(new int[0]), settings(SAMPLED, 1, 4)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("no tokens");
    assertThatThrownBy(() -> generate(prompts, GenerationSettings.greedy(680, Set.of(), 4)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("30 tokens and 680 new ones need 710 positions");
    assertThatThrownBy(() -> generate(prompts, settings(SAMPLED, Integer.MAX_VALUE, 4)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("lower --num_return_sequences");
    assertThatThrownBy(() -> GenerationSettings.greedy(0, Set.of(), 4))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith("--max_new_tokens is 0");
    assertThatThrownBy(() -> settings(SAMPLED, 0, 4))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith("--num_return_sequences is 0");
    assertThatThrownBy(() -> settings(SAMPLED, 1, 0))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith("--micro_batch_size is 0");
  }
}
