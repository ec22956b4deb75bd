package io.panatron.runtime.quickstart;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The shape of the quickstart's model, a small Qwen3.
 *
 * @param hiddenSize h, elements of the residual stream
 * @param intermediateSize elements inside an MLP
 * @param layers number of decoder layers
 * @param heads query heads
 * @param keyValueHeads key and value heads
 * @param headDim elements of a head
 */
public record QuickstartModel(
    int hiddenSize, int intermediateSize, int layers, int heads, int keyValueHeads, int headDim) {
  /**
   * Tokens a conversation may have: far more than the tasks need, so that the model can be tried.
   */
  public static final int MAX_POSITIONS = 256;

  /**
   * Standard deviation of the initial weights. A wide start for so few dimensions: about {@code 0.6
   * / sqrt(h)}.
   */
  private static final double INITIALIZER_RANGE = 0.05;

  /**
   * Writes a model folder without weights: config.json, generation_config.json and the tokenizer.
   */
  public void write(Path folder) throws IOException {
    Files.createDirectories(folder);
    QuickstartTokenizer.write(folder, MAX_POSITIONS);
    Files.writeString(folder.resolve("config.json"), config());
    ObjectNode generation = new ObjectMapper().createObjectNode();
    generation.put("do_sample", false);
    generation
        .putArray("eos_token_id")
        .add(QuickstartTokenizer.MESSAGE_END)
        .add(QuickstartTokenizer.END_OF_TEXT);
    generation.put("pad_token_id", QuickstartTokenizer.END_OF_TEXT);
    Files.writeString(folder.resolve("generation_config.json"), text(generation));
  }

  private String config() {
    ObjectNode config = new ObjectMapper().createObjectNode();
    config.putArray("architectures").add("Qwen3ForCausalLM");
    config.put("model_type", "qwen3");
    config.put("vocab_size", QuickstartTokenizer.VOCABULARY);
    config.put("hidden_size", hiddenSize);
    config.put("intermediate_size", intermediateSize);
    config.put("num_hidden_layers", layers);
    config.put("num_attention_heads", heads);
    config.put("num_key_value_heads", keyValueHeads);
    config.put("head_dim", headDim);
    config.put("hidden_act", "silu");
    config.put("attention_bias", false);
    config.put("attention_dropout", 0.0);
    config.put("max_position_embeddings", MAX_POSITIONS);
    config.put("rms_norm_eps", 1e-6);
    config.put("rope_theta", 10_000.0);
    config.put("tie_word_embeddings", true);
    config.put("initializer_range", INITIALIZER_RANGE);
    config.put("use_cache", true);
    config.putNull("bos_token_id");
    config.put("eos_token_id", QuickstartTokenizer.MESSAGE_END);
    config.put("pad_token_id", QuickstartTokenizer.END_OF_TEXT);
    config.put("torch_dtype", "float32");
    return text(config);
  }

  private static String text(ObjectNode json) {
    return json.toPrettyString() + "\n";
  }
}
