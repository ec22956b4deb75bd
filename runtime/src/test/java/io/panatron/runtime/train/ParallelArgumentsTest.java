package io.panatron.runtime.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.GivenValue;
import io.panatron.runtime.config.ParameterTable;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.config.Provenance;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ParallelArgumentsTest {
  private static ParsedArguments arguments(String... namesAndValues) {
    List<GivenValue> given = new ArrayList<>();
    List<String> all = new ArrayList<>(List.of(namesAndValues));
    all.addAll(List.of("model", "m", "dataset", "d", "train_iters", "1"));
    for (int i = 0; i < all.size(); i += 2) {
      given.add(new GivenValue(all.get(i), List.of(all.get(i + 1)), Provenance.COMMAND_LINE));
    }
    return ParameterTable.load().forCommand("sft").parse(given);
  }

  private static int ranks(ParsedArguments arguments, Map<String, String> environment) {
    return ParallelArguments.of(ParallelArguments.withEnvironment(arguments, environment)).world();
  }

  @Test
  void ranksAreThoseGivenElseThoseOfTheEnvironmentElseWhatTheModelNeeds() {
    assertThat(ranks(arguments(), Map.of())).isEqualTo(1);
    assertThat(ranks(arguments("tensor_model_parallel_size", "2"), Map.of())).isEqualTo(2);
    Map<String, String> four = Map.of("NPROC_PER_NODE", "4", "NNODES", "1");
    assertThat(ranks(arguments(), four)).isEqualTo(4);
    assertThat(ranks(arguments("nproc_per_node", "2"), four)).isEqualTo(2);
  }

  @Test
  void anEnvironmentThatIsNotUnderstoodIsRefused() {
    assertThatThrownBy(() -> ranks(arguments(), Map.of("NPROC_PER_NODE", "gpu")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("NPROC_PER_NODE is 'gpu'");
    assertThatThrownBy(() -> ranks(arguments(), Map.of("NNODES", "2")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("NNODES is 2");
  }

  @Test
  void theTimeoutIsThatOfEitherParameter() {
    assertThat(ParallelArguments.timeout(arguments())).isEqualTo(Duration.ofHours(5_000));
    assertThat(ParallelArguments.timeout(arguments("ddp_timeout", "90")))
        .isEqualTo(Duration.ofSeconds(90));
    assertThat(ParallelArguments.timeout(arguments("distributed_timeout_minutes", "2")))
        .isEqualTo(Duration.ofMinutes(2));
  }
}
