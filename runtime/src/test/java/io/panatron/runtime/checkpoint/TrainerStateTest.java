package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainerStateTest {
  @Provide
  Arbitrary<TrainerState> states() {
    Arbitrary<String> names = Arbitraries.strings().ofMinLength(1).ofMaxLength(8);
    Arbitrary<Long> positions = Arbitraries.longs().greaterOrEqual(0);
    Arbitrary<Double> anyBits = Arbitraries.longs().map(Double::longBitsToDouble);
    Arbitrary<Double> doubles =
        Arbitraries.oneOf(
            anyBits,
            Arbitraries.of(
                -0.0, Double.MIN_VALUE, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY));
    return Combinators.combine(
            positions,
            positions,
            positions,
            Arbitraries.longs(),
            Arbitraries.maps(names, Arbitraries.longs().list().ofMaxSize(5)).ofMaxSize(3),
            Arbitraries.maps(names, doubles).ofMaxSize(5),
            Arbitraries.maps(names, Arbitraries.longs()).ofMaxSize(3))
        .as(TrainerState::new);
  }

  @Property(tries = 300)
  void readingGivesBackEveryBit(@ForAll("states") TrainerState state) throws IOException {
    Path file = Files.createTempFile("trainer_state", ".json");
    try {
      Files.write(file, state.toBytes());
      // Records compare doubles by their bits (all not-a-numbers as one), so -0.0 is not 0.0.
      assertThat(TrainerState.read(file)).isEqualTo(state);
    } finally {
      Files.delete(file);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"iteration\" : 3 | \"iteration\" : 3.5 | no usable iteration",
        "\"iteration\" : 3 | \"iteration\" : -3 | counts from zero",
        "\"iteration\" : 3 | \"iterations\" : 3 | no usable iteration",
        "\"consumed_train_samples\" : 12 | \"consumed_train_samples\" : \"12\" |"
            + " consumed_train_samples",
        "\"counters\" : { } | \"counters\" : 7 | no usable counters",
        "\"1.5\" | \"one\" | no usable sums.loss",
        "\"format_version\" : 1 | \"format_version\" : 9 | format version 9, written by a newer"
            + " version",
      })
  void aWrongStateIsOneSentence(String good, String bad, String message, @TempDir Path folder)
      throws IOException {
    TrainerState state =
        new TrainerState(
            3, 12, 0, 12, Map.of("sampler", List.of(1L)), Map.of("loss", 1.5), Map.of());
    String text = new String(state.toBytes(), java.nio.charset.StandardCharsets.UTF_8);
    assertThat(text).contains(good);
    Path wrong = Files.writeString(folder.resolve("state.json"), text.replace(good, bad));
    assertThatThrownBy(() -> TrainerState.read(wrong))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith(wrong.toString())
        .hasMessageContaining(message)
        .message()
        .doesNotContain("\n");
  }

  @Test
  void aStateCountsFromZero() {
    assertThatThrownBy(() -> new TrainerState(-1, 0, 0, 0, Map.of(), Map.of(), Map.of()))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void textsAreReadBackAndMayBeMissing(@TempDir Path folder) throws IOException {
    TrainerState with =
        new TrainerState(
            3, 12, 0, 12, Map.of(), Map.of(), Map.of(), Map.of("template_time", "then"));
    TrainerState without = new TrainerState(3, 12, 0, 12, Map.of(), Map.of(), Map.of());
    for (TrainerState state : java.util.List.of(with, without)) {
      Path file = Files.write(folder.resolve("state.json"), state.toBytes());
      assertThat(TrainerState.read(file)).isEqualTo(state);
    }
  }
}
