package io.panatron.runtime.train;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.model.ModelConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WindowArgumentsTest {
  private static final String EVERY_LAYER =
      "{'model_type':'mistral','num_hidden_layers':4,'sliding_window':129}";
  private static final String NO_LAYER =
      "{'model_type':'mistral','num_hidden_layers':4,'sliding_window':null}";
  private static final String OTHER_LAYERS =
      "{'model_type':'qwen2','num_hidden_layers':4,'use_sliding_window':true,'sliding_window':129,"
          + "'layer_types':['sliding_attention','full_attention','sliding_attention',"
          + "'full_attention']}";

  @TempDir Path folder;

  private ModelConfig model(String json) throws IOException {
    Path file = Files.writeString(folder.resolve("config.json"), json.replace('\'', '"'));
    return ModelConfig.read(file);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '^',
      value = {
        "128,0 | | " + EVERY_LAYER,
        "(128, 0) | [1,1,1,1] | " + EVERY_LAYER,
        "128,0 | 9 | " + EVERY_LAYER,
        "128,0 | 2 | " + OTHER_LAYERS,
        "128,0 | [1, 0, 1, 0] | " + OTHER_LAYERS,
        "-1,0 | | " + NO_LAYER,
        "128,0 | [0,0,0,0] | " + NO_LAYER,
        " | | " + OTHER_LAYERS,
      })
  void whatConfigJsonSaysAsWellPasses(
      @Nullable String size, @Nullable String frequency, String config) throws IOException {
    ModelConfig model = model(config);
    assertThatCode(() -> WindowArguments.requireAgreement(size, frequency, model))
        .doesNotThrowAnyException();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '^',
      value = {
        "129,0 | | --window_size 129,0 means a window of 130 tokens in 4 of 4 layers, but the "
            + "config.json of MistralForCausalLM can only say a window of 129 tokens in 4 of 4 layers",
        "128,0 | 2 | a window of 129 tokens in 2 of 4 layers, but",
        "-1,0 | | --window_size -1,0 means no window, but",
        "128,5 | | --window_size '128,5' is no window of a causal model",
        "128 | | --window_size '128' is no window",
        "-3,0 | | --window_size '-3,0' is no window",
        "128,0 | 0 | --window_attn_skip_freq '0' is neither",
        "128,0 | [1,0] | a list of a 0 or 1 for each of the 4 layers",
        " | 2 | --window_size is unset",
      })
  void whatContradictsConfigJsonOrCannotBeReadIsRefusedByName(
      @Nullable String size, @Nullable String frequency, String message) throws IOException {
    ModelConfig model = model(EVERY_LAYER);
    assertThatThrownBy(() -> WindowArguments.requireAgreement(size, frequency, model))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(message);
  }
}
