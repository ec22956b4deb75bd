package io.panatron.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against numbers that Megatron-LM's {@code num_floating_point_operations} returned. */
class FlopCountTest {
  @TempDir Path folder;

  private FlopCount count(String architecture, String modelType, String sizes) throws IOException {
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"architectures": ["%s"], "model_type": "%s", "hidden_act": "silu", "rms_norm_eps": 1e-6,
         "max_position_embeddings": 4096, "rope_theta": 10000.0, "tie_word_embeddings": false, %s}
        """
            .formatted(architecture, modelType, sizes));
    return FlopCount.of(ModelConfig.read(folder));
  }

  @Test
  void twoSequencesOfLlama3AreCountedAsMegatronDoes() throws IOException {
    FlopCount llama =
        count(
            "LlamaForCausalLM",
            "llama",
            """
            "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256
            """);

    assertThat(2 * llama.of(4096)).isEqualTo(395_257_250_316_288.0);
  }

  @Test
  void headsNeedNotMakeUpTheHiddenSize() throws IOException {
    FlopCount qwen =
        count(
            "Qwen3ForCausalLM",
            "qwen3",
            """
            "hidden_size": 64, "intermediate_size": 104, "num_hidden_layers": 3,
            "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 384
            """);

    assertThat(3 * qwen.of(100)).isEqualTo(292_377_600.0);
  }

  @Test
  void packedSequencesCostLessThanOneOfTheirLength() throws IOException {
    FlopCount qwen =
        count(
            "Qwen3ForCausalLM",
            "qwen3",
            """
            "hidden_size": 64, "intermediate_size": 104, "num_hidden_layers": 3,
            "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 384
            """);

    // 6 layers * query width * the difference of the squares
    assertThat(qwen.of(200) - 2 * qwen.of(100)).isEqualTo(6.0 * 3 * 96 * (40_000 - 20_000));
  }

  @Test
  void aWindowLeavesOfTheSquareWhatItReaches() throws IOException {
    FlopCount mistral =
        count(
            "MistralForCausalLM",
            "mistral",
            """
            "hidden_size": 64, "intermediate_size": 104, "num_hidden_layers": 3,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 384,
            "sliding_window": 30
            """);

    // Of 100 tokens the first 30 see a triangle, the others 30 tokens each.
    double pairs = 30.0 * 30 / 2 + 70 * 30;
    assertThat(mistral.of(100) - 100 * mistral.perToken()).isEqualTo(6.0 * 3 * 64 * 2 * pairs);
    assertThat(mistral.of(30) - 30 * mistral.perToken()).isEqualTo(6.0 * 3 * 64 * 30 * 30);
  }

  @Test
  void anMlpWithoutAGateHasTwoProjections() throws IOException {
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"model_type": "gpt2", "n_embd": 64, "n_inner": 100, "n_layer": 3, "n_head": 4,
         "vocab_size": 384}
        """);
    FlopCount gpt2 = FlopCount.of(ModelConfig.read(folder));

    assertThat(gpt2.perToken()).isEqualTo(6.0 * (3 * (4 * 64 * 64 + 2 * 64 * 100) + 64 * 384));
  }
}
