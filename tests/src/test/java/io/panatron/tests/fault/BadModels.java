package io.panatron.tests.fault;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Model folders that cannot be trained: configuration, weights, tokenizer. */
final class BadModels {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String WEIGHTS = "model.safetensors";
  private static final String NORM = "model.norm.weight";

  /** What a test does to a copy of a good model folder. */
  @FunctionalInterface
  private interface Damage {
    void to(Path model) throws IOException;
  }

  private BadModels() {}

  static List<BadInput> all() {
    return Stream.of(configurations(), weights(), tokenizers()).flatMap(List::stream).toList();
  }

  private static List<BadInput> configurations() {
    return List.of(
        BadInput.of(
            "a model folder that does not exist",
            folder -> BadInput.good(folder).with("model", folder.resolve("gone")),
            "gone",
            "folder"),
        model("no config.json", m -> Files.delete(m.resolve("config.json")), "config.json"),
        model("an empty config.json", m -> write(m, "config.json", ""), "config.json"),
        model("a config.json that is broken", m -> write(m, "config.json", "{"), "config.json"),
        model("a config.json that is a list", m -> write(m, "config.json", "[]"), "config.json"),
        model(
            "a deeply nested config.json",
            m -> write(m, "config.json", "{\"a\":".repeat(2000)),
            "config.json",
            "nest"),
        config(
            "an unknown architecture",
            c -> {
              c.put("model_type", "gptx");
              c.putArray("architectures").add("GptXForCausalLM");
            },
            "GptXForCausalLM",
            "not supported",
            "Qwen3ForCausalLM"),
        config(
            "an architecture that contradicts the model type",
            c -> c.putArray("architectures").add("LlamaForCausalLM"),
            "LlamaForCausalLM"),
        config("a size of a wrong type", c -> c.put("hidden_size", "64"), "hidden_size", "integer"),
        config("no layers", c -> c.put("num_hidden_layers", -1), "num_hidden_layers", "-1"),
        config("no heads", c -> c.put("num_attention_heads", 0), "num_attention_heads", "0"),
        config(
            "heads that do not divide",
            c -> c.put("num_key_value_heads", 4),
            "num_key_value_heads",
            "4"),
        config(
            "a size beyond all memory",
            c -> c.put("vocab_size", Integer.MAX_VALUE),
            "vocab_size",
            "2147483647"),
        model(
            "a model larger than an address space",
            m -> {
              ObjectNode config = read(m, "config.json");
              config.put("hidden_size", 65536).put("intermediate_size", 262144);
              config.put("num_hidden_layers", 2000).remove("layer_types");
              write(m, "config.json", config.toString());
              Files.delete(m.resolve(WEIGHTS));
            },
            "bytes left for tensors",
            "use a smaller model"),
        config("an epsilon of zero", c -> c.put("rms_norm_eps", 0), "rms_norm_eps"),
        config("another activation", c -> c.put("hidden_act", "gelu"), "hidden_act gelu"),
        config(
            "unsupported rotary scaling",
            c -> {
              c.remove("rope_parameters");
              c.putObject("rope_scaling").put("rope_type", "mrope").put("factor", 4.0);
            },
            "rope type mrope",
            "not supported"),
        config(
            "a sliding layer without a window",
            c ->
                c.putArray("layer_types")
                    .add("full_attention")
                    .add("sliding_attention")
                    .add("full_attention"),
            "sliding_attention in layer_types without a window",
            "set use_sliding_window to true"),
        config(
            "a quantized model",
            c -> c.putObject("quantization_config").put("quant_method", "gptq"),
            "quantization_config",
            "not supported"));
  }

  private static List<BadInput> weights() {
    return List.of(
        model("weights cut off", m -> RunFiles.tear(m.resolve(WEIGHTS)), WEIGHTS, "cut off"),
        model("empty weights", m -> write(m, WEIGHTS, ""), WEIGHTS),
        model(
            "weights that are a web page",
            m -> write(m, WEIGHTS, "<!DOCTYPE html><html>not found</html>"),
            WEIGHTS),
        header("a header that overlaps itself", h -> offsets(h, NORM, 0, 256), "overlap"),
        header(
            "a header that points beyond the file",
            h -> offsets(h, NORM, 1L << 40, (1L << 40) + 256),
            NORM,
            "cut off"),
        header("an unknown element type", h -> entry(h, NORM).put("dtype", "Q4"), NORM, "Q4"),
        header(
            "a missing and an unknown tensor",
            h -> h.set("model.other.weight", h.remove(NORM)),
            "1 missing (" + NORM + ")",
            "1 not part of the model (model.other.weight)"),
        header(
            "a tensor of a wrong shape",
            h -> entry(h, NORM).putArray("shape").add(8).add(8),
            NORM,
            "[8, 8] instead of [64]"),
        config(
            "a configuration for another size",
            c -> c.put("intermediate_size", 96),
            "gate_proj",
            "instead of [96, 64]"),
        model(
            "weights as pickle only",
            m -> Files.move(m.resolve(WEIGHTS), m.resolve("pytorch_model.bin")),
            "pytorch_model.bin",
            "convert them to safetensors"),
        model(
            "a shard that is missing",
            m -> {
              Files.delete(m.resolve(WEIGHTS));
              write(
                  m,
                  WEIGHTS + ".index.json",
                  "{\"weight_map\": {\"" + NORM + "\": \"model-00001-of-00002.safetensors\"}}");
            },
            "model-00001-of-00002.safetensors",
            "lacks",
            "fetch them again"),
        model(
            "an index that leaves its folder",
            m -> {
              Files.delete(m.resolve(WEIGHTS));
              write(
                  m,
                  WEIGHTS + ".index.json",
                  "{\"weight_map\": {\"" + NORM + "\": \"../../secret.safetensors\"}}");
            },
            "index.json",
            "../../secret.safetensors"));
  }

  private static List<BadInput> tokenizers() {
    return List.of(
        model(
            "no tokenizer",
            m -> Files.delete(m.resolve("tokenizer.json")),
            "no tokenizer.json",
            "save_pretrained"),
        model("a tokenizer that is broken", m -> write(m, "tokenizer.json", "{\"a\""), "JSON"),
        model(
            "a tokenizer without vocabulary",
            m -> write(m, "tokenizer.json", "{\"model\": {}}"),
            "tokenizer.json",
            "no model.vocab"),
        model(
            "a tokenizer of an unknown kind",
            m -> {
              ObjectNode tokenizer = read(m, "tokenizer.json");
              ((ObjectNode) tokenizer.get("model")).put("type", "Telepathy");
              write(m, "tokenizer.json", tokenizer.toString());
            },
            "tokenizer.json",
            "refused"),
        config(
            "more tokens than embeddings",
            c -> c.put("vocab_size", 200),
            "tokenizer",
            "vocab_size in config.json is 200"),
        BadInput.of(
            "no chat template",
            folder ->
                BadInput.good(folder).with("model", withoutTemplate(folder)).without("template"),
            "chat template",
            "--template qwen3"),
        BadInput.of(
            "a chat template that is broken",
            folder -> {
              Path model = withoutTemplate(folder);
              write(model, "chat_template.jinja", "{% for m in messages %}{{ m.content }}");
              return BadInput.good(folder).with("model", model).without("template");
            },
            "template"),
        BadInput.of(
            "an unknown template",
            folder -> BadInput.good(folder).with("template", "alpaca"),
            "--template alpaca",
            "chatml"),
        BadInput.of(
            "a template whose tokens the tokenizer lacks",
            folder -> {
              Path model = Fixture.copyModel(folder.resolve("model"));
              String tokenizer = Files.readString(model.resolve("tokenizer.json"));
              write(model, "tokenizer.json", tokenizer.replace("<|im_start|>", "<|start|>"));
              String config = Files.readString(model.resolve("tokenizer_config.json"));
              write(model, "tokenizer_config.json", config.replace("<|im_start|>", "<|start|>"));
              return BadInput.good(folder).with("model", model);
            },
            "<|im_start|>"));
  }

  private static Path withoutTemplate(Path folder) throws IOException {
    Path model = Fixture.copyModel(folder.resolve("model"));
    ObjectNode config = read(model, "tokenizer_config.json");
    config.remove("chat_template");
    write(model, "tokenizer_config.json", config.toString());
    return model;
  }

  private static BadInput header(String name, Consumer<ObjectNode> change, String... phrases) {
    return model(name, m -> WeightFile.editHeader(m.resolve(WEIGHTS), change), phrases);
  }

  private static BadInput config(String name, Consumer<ObjectNode> change, String... phrases) {
    Damage damage =
        m -> {
          ObjectNode config = read(m, "config.json");
          change.accept(config);
          write(m, "config.json", config.toString());
        };
    return model(name, damage, phrases);
  }

  private static BadInput model(String name, Damage damage, String... phrases) {
    return BadInput.of(
        name,
        folder -> {
          Path model = Fixture.copyModel(folder.resolve("model"));
          damage.to(model);
          return BadInput.good(folder).with("model", model);
        },
        phrases);
  }

  private static ObjectNode entry(ObjectNode header, String tensor) {
    return (ObjectNode) header.get(tensor);
  }

  private static void offsets(ObjectNode header, String tensor, long begin, long end) {
    entry(header, tensor).putArray("data_offsets").add(begin).add(end);
  }

  private static ObjectNode read(Path model, String file) throws IOException {
    return (ObjectNode) JSON.readTree(model.resolve(file).toFile());
  }

  private static void write(Path model, String file, String text) throws IOException {
    Files.writeString(model.resolve(file), text);
  }
}
