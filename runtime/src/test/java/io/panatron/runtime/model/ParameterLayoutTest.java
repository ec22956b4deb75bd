package io.panatron.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

class ParameterLayoutTest {
  @TempDir Path folder;

  private ModelConfig config(JsonNode json) throws IOException {
    Path file = folder.resolve("config.json");
    Files.write(file, new ObjectMapper().writeValueAsBytes(json));
    return ModelConfig.read(file);
  }

  @TestFactory
  List<DynamicTest> namesShapesAndCountAreThoseOfTransformers() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode model : ModelConfigTest.resource("families.json").get("models")) {
      tests.add(
          DynamicTest.dynamicTest(
              model.get("name").textValue(),
              () -> {
                ModelConfig config = config(model.get("config"));
                Map<String, List<Long>> expected = new LinkedHashMap<>();
                model
                    .get("shapes")
                    .properties()
                    .forEach(e -> {
                      List<Long> shape = new ArrayList<>();
                      e.getValue().forEach(d -> shape.add(d.longValue()));
                      expected.put(e.getKey(), shape);
                    });
                Map<String, List<Long>> actual = new LinkedHashMap<>();
                ParameterLayout.hfShapes(config)
                    .forEach((name, shape) ->
                        actual.put(name, java.util.Arrays.stream(shape).boxed().toList()));
                assertThat(actual).containsExactlyInAnyOrderEntriesOf(expected);
                assertThat(ParameterLayout.parameterCount(config))
                    .isEqualTo(model.get("parameters").longValue());
              }));
    }
    assertThat(tests).hasSize(17);
    return tests;
  }

  @Test
  void queriesKeysAndValuesAreRowsOfOneParameter() throws IOException {
    ModelConfig config = config(ModelConfigTest.resource("qwen2-config.json"));
    String prefix = "model.layers.1.self_attn.";
    ParameterLayout bias =
        ParameterLayout.of(config).stream()
            .filter(p -> p.name().equals(prefix + "qkv_proj.bias"))
            .findFirst()
            .orElseThrow();
    assertThat(bias.parts())
        .containsExactly(
            new ParameterLayout.Part(prefix + "q_proj.bias", 0, 72),
            new ParameterLayout.Part(prefix + "k_proj.bias", 72, 24),
            new ParameterLayout.Part(prefix + "v_proj.bias", 96, 24));
    assertThat(bias.shape()).containsExactly(120);
  }

  @Test
  void gateComesBeforeUp() throws IOException {
    ModelConfig config = config(ModelConfigTest.resource("llama3-config.json"));
    ParameterLayout gateUp =
        ParameterLayout.of(config).stream()
            .filter(p -> p.name().equals("model.layers.0.mlp.gate_up_proj.weight"))
            .findFirst()
            .orElseThrow();
    assertThat(gateUp.parts())
        .containsExactly(
            new ParameterLayout.Part("model.layers.0.mlp.gate_proj.weight", 0, 132),
            new ParameterLayout.Part("model.layers.0.mlp.up_proj.weight", 132, 132));
    assertThat(gateUp.shape()).containsExactly(264, 64);
  }

  @Test
  void onlyTiedModelsMayHoldTheOutputTwice() throws IOException {
    assertThat(ParameterLayout.tiedHfNames(config(ModelConfigTest.resource("qwen2-config.json"))))
        .containsOnlyKeys("lm_head.weight");
    assertThat(ParameterLayout.tiedHfNames(config(ModelConfigTest.resource("qwen3-config.json"))))
        .isEmpty();
  }
}
