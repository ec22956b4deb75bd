package io.panatron.runtime.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class SamplerTest {
  /** Transformers computes in float32, whose rounding reaches the sixth digit here. */
  private static final double FLOAT_ROUNDING = 1e-6;

  static List<JsonNode> cases() throws IOException {
    try (InputStream file =
        Objects.requireNonNull(SamplerTest.class.getResourceAsStream("sampling.json"))) {
      List<JsonNode> cases = new ArrayList<>();
      new ObjectMapper().readTree(file).get("cases").forEach(cases::add);
      return cases;
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void probabilitiesAreThoseOfTransformers(JsonNode example) {
    JsonNode named = example.get("sampling");
    Sampling sampling =
        new Sampling(
            named.get("temperature").asDouble(),
            named.get("top_k").asInt(),
            named.get("top_p").asDouble(),
            named.get("repetition_penalty").asDouble());
    BitSet seen = new BitSet();
    example.get("seen").forEach(id -> seen.set(id.asInt()));
    double[] logits = numbers(example.get("logits"));
    double[] expected = numbers(example.get("probabilities"));
    double[] actual = new Sampler(logits.length).distribution(logits, sampling, seen);
    List<Integer> kept = new ArrayList<>();
    for (int id = 0; id < actual.length; id++) {
      assertThat(actual[id]).as("token %s", id).isCloseTo(expected[id], within(FLOAT_ROUNDING));
      if (actual[id] > 0) {
        kept.add(id);
      }
    }
    List<Integer> expectedIds = new ArrayList<>();
    example.get("kept").forEach(id -> expectedIds.add(id.asInt()));
    assertThat(kept).isEqualTo(expectedIds);
  }

  private static double[] numbers(JsonNode array) {
    double[] values = new double[array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i).asDouble();
    }
    return values;
  }

  @Test
  void tokensComeAsOftenAsTheirProbabilitySays() {
    Sampling sampling = new Sampling(0.8, 6, 0.95, 1);
    double[] logits = {0.1, 2.0, -1.0, 1.5, 0.0, 1.9, 0.7, -3.0};
    Sampler sampler = new Sampler(logits.length);
    double[] expected = sampler.distribution(logits.clone(), sampling, null);
    SplittableRandom random = new SplittableRandom(7);
    int draws = 100_000;
    int[] counts = new int[logits.length];
    for (int i = 0; i < draws; i++) {
      Sampler.Draw draw = sampler.draw(logits.clone(), sampling, null, random);
      counts[draw.token()]++;
      assertThat(draw.logProbability()).isCloseTo(Math.log(expected[draw.token()]), within(1e-12));
    }
    for (int id = 0; id < counts.length; id++) {
      // Five standard deviations of a binomial count.
      double spread = 5 * Math.sqrt(draws * expected[id] * (1 - expected[id]));
      assertThat((double) counts[id]).isCloseTo(draws * expected[id], within(spread));
    }
  }

  @Test
  void greedyTakesTheFirstOfTheMostProbableTokensAndTellsItsProbability() {
    Sampler sampler = new Sampler(4);
    double[] logits = {0, 3, 3, 1};
    Sampler.Draw draw = sampler.draw(logits, Sampling.GREEDY, null, new SplittableRandom(1));
    assertThat(draw.token()).isEqualTo(1);
    double total = Math.exp(-3) + 2 + Math.exp(-2);
    assertThat(draw.logProbability()).isCloseTo(-Math.log(total), within(1e-12));
  }

  @Test
  void aTemperatureNearZeroTakesTheMostProbableToken() {
    Sampler sampler = new Sampler(3);
    double[] logits = {1, 1.001, -5};
    Sampler.Draw draw =
        sampler.draw(logits, Sampling.atTemperature(1e-300), null, new SplittableRandom(1));
    assertThat(draw).isEqualTo(new Sampler.Draw(1, 0));
  }

  @Test
  void aTokenWithoutProbabilityIsNeverDrawn() {
    Sampler sampler = new Sampler(3);
    SplittableRandom random = new SplittableRandom(3);
    for (int i = 0; i < 100; i++) {
      double[] logits = {Double.NEGATIVE_INFINITY, 0, Double.NEGATIVE_INFINITY};
      assertThat(sampler.draw(logits, Sampling.atTemperature(1), null, random).token())
          .isEqualTo(1);
    }
  }

  @ParameterizedTest
  @CsvSource({"NaN", "Infinity"})
  void logitsThatAreNotFiniteAreAMistakeOfTheModel(double bad) {
    Sampler sampler = new Sampler(3);
    assertThatThrownBy(() ->
            sampler.draw(new double[] {0, bad, 1}, Sampling.GREEDY, null, new SplittableRandom(1)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("greatest logit is " + bad);
  }

  @ParameterizedTest
  @CsvSource({
    "-0.1, 0, 1, 1, --temperature is -0.1",
    "NaN, 0, 1, 1, --temperature is NaN",
    "1, -2, 1, 1, --top_k is -2",
    "1, 0, 0, 1, --top_p is 0.0",
    "1, 0, 1.1, 1, --top_p is 1.1",
    "1, 0, NaN, 1, --top_p is NaN",
    "1, 0, 1, 0, --repetition_penalty is 0.0",
    "1, 0, 1, Infinity, --repetition_penalty is Infinity",
  })
  void aMeaninglessSettingIsRefusedByName(
      double temperature, int topK, double topP, double penalty, String mistake) {
    assertThatThrownBy(() -> new Sampling(temperature, topK, topP, penalty))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith(mistake);
  }

  @Test
  void everySampleHasItsOwnRandomStream() {
    List<Long> first = new ArrayList<>();
    for (long seed = 0; seed < 5; seed++) {
      for (int prompt = 0; prompt < 5; prompt++) {
        for (int sample = 0; sample < 5; sample++) {
          first.add(RandomStreams.of(seed, prompt, sample).nextLong());
          assertThat(RandomStreams.of(seed, prompt, sample).nextLong()).isEqualTo(first.getLast());
        }
      }
    }
    assertThat(first).doesNotHaveDuplicates();
  }
}
