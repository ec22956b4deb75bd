package io.panatron.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

class RotaryFrequenciesTest {
  /**
   * Units in the last place. PyTorch's vectorised power is accurate to one unit, which its
   * reciprocal and the blend of llama3 scaling may double.
   */
  private static final int TOLERANCE_ULP = 2;

  /** Dynamic scaling takes one power more, and yarn adds two terms. */
  private static final int SCALED_TOLERANCE_ULP = 4;

  @TempDir Path folder;

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

  @TestFactory
  List<DynamicTest> scaledFrequenciesAndAttentionFactorsAreThoseOfTransformers()
      throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode example : ModelConfigTest.resource("rope-scaling.json").get("cases")) {
      tests.add(
          DynamicTest.dynamicTest(example.get("name").textValue(), () -> assertScaled(example)));
    }
    assertThat(tests).hasSize(22);
    return tests;
  }

  private void assertScaled(JsonNode example) throws IOException {
    Path file = Files.writeString(folder.resolve("config.json"), example.get("config").toString());
    ModelConfig config = ModelConfig.read(file);
    float[] actual = RotaryFrequencies.inverse(config, example.get("length").intValue());
    assertClose(actual, example.get("inv_freq_bits"), SCALED_TOLERANCE_ULP);
    RopeScaling scaling = config.ropeScaling();
    assertThat(scaling == null ? 0 : scaling.attentionFactor())
        .isCloseTo(example.get("attention_factor").doubleValue(), within(1e-14));
  }

  private static void assertFrequenciesEqual(JsonNode example) {
    JsonNode scaling = example.get("rope_scaling");
    RopeScaling ropeScaling =
        scaling.isNull()
            ? null
            : new RopeScaling.Llama3(
                scaling.get("factor").doubleValue(),
                scaling.get("low_freq_factor").doubleValue(),
                scaling.get("high_freq_factor").doubleValue(),
                scaling.get("original_max_position_embeddings").intValue());
    float[] actual =
        RotaryFrequencies.inverse(
            example.get("head_dim").intValue(),
            example.get("rope_theta").doubleValue(),
            ropeScaling,
            1);
    assertClose(actual, example.get("inv_freq_bits"), TOLERANCE_ULP);
  }

  private static void assertClose(float[] actual, JsonNode bits, int tolerance) {
    assertThat(actual).hasSize(bits.size());
    for (int i = 0; i < actual.length; i++) {
      int expected = Integer.parseUnsignedInt(bits.get(i).textValue(), 16);
      assertThat(Math.abs(Float.floatToIntBits(actual[i]) - expected))
          .as("frequency %d: %s against %s", i, actual[i], Float.intBitsToFloat(expected))
          .isLessThanOrEqualTo(tolerance);
    }
  }
}
