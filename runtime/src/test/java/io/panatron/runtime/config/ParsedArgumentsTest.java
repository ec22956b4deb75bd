package io.panatron.runtime.config;

import static io.panatron.runtime.config.Given.sft;
import static io.panatron.runtime.config.Given.typed;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ParsedArgumentsTest {
  @Test
  void derivedValuesLeaveTheOriginalAlone() {
    ParsedArguments before = sft();
    ParsedArguments after = before.with("lr_decay_iters", 8);
    assertThat(before.integerOrNull("lr_decay_iters")).isNull();
    assertThat(after.integer("lr_decay_iters")).isEqualTo(8);
    assertThat(after.provenance("lr_decay_iters")).isEqualTo(Provenance.DERIVED);
    assertThatThrownBy(() -> before.with("lr", "fast"))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void defaultsThatFollowFromOthersAreFilledIn() {
    ParsedArguments a =
        EffectiveDefaults.derive(sft(typed("model", "/m/Qwen3-0.6B/"), typed("max_length", "64")));
    assertThat(a.number("lr")).isEqualTo(1e-5);
    assertThat(a.text("save")).isEqualTo("megatron_output/Qwen3-0.6B");
    assertThat(a.integer("eval_interval")).isEqualTo(500);
    assertThat(a.integer("seq_length")).isEqualTo(64);
    assertThat(EffectiveDefaults.derive(sft(typed("lr", "0.5"))).provenance("lr"))
        .isEqualTo(Provenance.COMMAND_LINE);
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "-,        -,     -,     float32,  FLOAT32",
        "-,        -,     -,     bfloat16, BFLOAT16",
        "-,        -,     -,     -,        FLOAT32",
        "bfloat16, -,     -,     float16,  BFLOAT16",
        "float32,  -,     -,     bfloat16, FLOAT32",
        "-,        true,  -,     float32,  BFLOAT16",
        "-,        true,  -,     float16,  BFLOAT16",
        "-,        false, -,     bfloat16, FLOAT32",
        "-,        -,     false, bfloat16, BFLOAT16",
        "-,        -,     false, float16,  FLOAT32",
        "-,        -,     -,     float16,  FLOAT16",
        "float16,  -,     -,     float32,  FLOAT16",
        "-,        -,     true,  bfloat16, FLOAT16",
        "-,        false, -,     float16,  FLOAT16",
      })
  void precisionFollowsTheFlagsAndThenTheModel(
      @Nullable String dtype,
      @Nullable String bf16,
      @Nullable String fp16,
      @Nullable String modelDtype,
      ComputePrecision expected) {
    List<GivenValue> given = new ArrayList<>();
    addTo(given, "torch_dtype", dtype);
    addTo(given, "bf16", bf16);
    addTo(given, "fp16", fp16);
    ParsedArguments arguments = sft(given.toArray(GivenValue[]::new));
    assertThat(ComputePrecision.resolve(arguments, modelDtype)).isEqualTo(expected);
  }

  private static void addTo(List<GivenValue> given, String name, @Nullable String value) {
    if (value != null) {
      given.add(typed(name, value));
    }
  }

  @Test
  void anUnknownDtypeOfTheModelNeedsADecision() {
    assertThatThrownBy(() -> ComputePrecision.resolve(sft(), "int8"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("'int8'")
        .hasMessageContaining("--torch_dtype bfloat16");
  }

  @Test
  void whatTheUserSetMustAgreeWithTheModel() {
    Map<String, Object> model = Map.of("rotary_base", 1000000L, "norm_epsilon", 1e-5);
    assertThatCode(() -> sft().requireAgreement(model, "LlamaForCausalLM"))
        .doesNotThrowAnyException();
    assertThatCode(
            () -> sft(typed("norm_epsilon", "1e-5")).requireAgreement(model, "LlamaForCausalLM"))
        .doesNotThrowAnyException();
    assertThatThrownBy(
            () -> sft(typed("rotary_base", "10000")).requireAgreement(model, "LlamaForCausalLM"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(
            "config.json of LlamaForCausalLM cannot say --rotary_base 10000 (it has 1000000)");
  }

  @Test
  void argsJsonHoldsEveryParameterInOrderAndNoSecret(@TempDir Path folder) throws IOException {
    ParsedArguments arguments =
        sft(typed("hub_token", "hf_secret"), typed("lr", "1e-3"), typed("dataset", "a", "b"));
    ArgumentsFile.write(arguments, folder);
    ArgumentsFile.write(arguments, folder);
    Path file = folder.resolve("args.json");
    assertThat(Files.readString(file)).doesNotContain("hf_secret");
    JsonNode root = new ObjectMapper().readTree(file.toFile());
    List<String> names = new ArrayList<>(List.of("command"));
    arguments.parameters().forEach(p -> names.add(p.name()));
    assertThat(root.fieldNames()).toIterable().containsExactlyElementsOf(names);
    assertThat(root.get("lr").doubleValue()).isEqualTo(1e-3);
    assertThat(root.get("micro_batch_size").intValue()).isEqualTo(1);
    assertThat(root.get("dataset")).hasSize(2);
    assertThat(root.get("max_length").isNull()).isTrue();
    assertThat(root.get("hub_token").isNull()).isTrue();
    try (var files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void aSecretIsNotRepeatedInMessages() {
    assertThatThrownBy(() -> sft(Given.inFile("hub_token", "hf_secret", "x")))
        .hasMessageNotContaining("hf_secret");
  }
}
