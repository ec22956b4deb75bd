package io.panatron.runtime.train;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DataAgreementTest {
  private static final Map<String, String> SAVED =
      Map.of("data --dataset", "a", "data --data_seed", "42", "template_time", "then");

  @Test
  void otherDataAreNamedInOneSentence() {
    assertThatThrownBy(() ->
            DataAgreement.require(SAVED, Map.of("data --dataset", "b", "data --data_seed", "7")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--dataset")
        .hasMessageContaining("--data_seed")
        .hasMessageContaining("--finetune true")
        .message()
        .doesNotContain("\n");
  }

  @Test
  void whatACheckpointDoesNotKnowIsNotCompared() {
    Map<String, String> now = Map.of("data --dataset", "a", "data --packing", "new");
    assertThatCode(() -> DataAgreement.require(SAVED, now)).doesNotThrowAnyException();
    assertThatCode(() -> DataAgreement.require(Map.of(), now)).doesNotThrowAnyException();
  }
}
