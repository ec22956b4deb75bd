package io.panatron.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

class RotaryFrequenciesTest {
  /**
   * Units in the last place. PyTorch's vectorised power is accurate to one unit, which its
   * reciprocal and the blend of llama3 scaling may double.
   */
  private static final int TOLERANCE_ULP = 2;

  @TestFactory
  List<DynamicTest> frequenciesAreThoseOfTransformers() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode example : ModelConfigTest.resource("rotary-frequencies.json").get("cases")) {
      tests.add(
          DynamicTest.dynamicTest(
              example.get("name").textValue(), () -> assertFrequenciesEqual(example)));
    }
    assertThat(tests).hasSize(9);
    return tests;
  }

  private static void assertFrequenciesEqual(JsonNode example) {
    JsonNode scaling = example.get("rope_scaling");
    RopeScaling ropeScaling =
        scaling.isNull()
            ? null
            : new RopeScaling(
                scaling.get("factor").doubleValue(),
                scaling.get("low_freq_factor").doubleValue(),
                scaling.get("high_freq_factor").doubleValue(),
                scaling.get("original_max_position_embeddings").intValue());
    float[] actual =
        RotaryFrequencies.inverse(
            example.get("head_dim").intValue(),
            example.get("rope_theta").doubleValue(),
            ropeScaling);
    JsonNode bits = example.get("inv_freq_bits");
    assertThat(actual).hasSize(bits.size());
    for (int i = 0; i < actual.length; i++) {
      int expected = Integer.parseUnsignedInt(bits.get(i).textValue(), 16);
      assertThat(Math.abs(Float.floatToIntBits(actual[i]) - expected))
          .as("frequency %d: %s against %s", i, actual[i], Float.intBitsToFloat(expected))
          .isLessThanOrEqualTo(TOLERANCE_ULP);
    }
  }
}
