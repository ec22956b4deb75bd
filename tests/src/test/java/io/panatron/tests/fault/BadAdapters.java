package io.panatron.tests.fault;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Adapters that do not fit, and parameters of tuning that contradict each other. */
final class BadAdapters {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String CONFIG = "adapter_config.json";
  private static final String WEIGHTS = "adapter_model.safetensors";
  private static final String DOWN = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight";

  /** What a test does to a copy of a good adapter. */
  @FunctionalInterface
  private interface Damage {
    void to(Path adapter) throws IOException;
  }

  private BadAdapters() {}

  static List<BadInput> all() {
    return Stream.of(folders(), configurations(), parameters()).flatMap(List::stream).toList();
  }

  private static List<BadInput> folders() {
    return List.of(
        BadInput.of(
            "an adapter that is not there",
            folder -> BadInput.good(folder).with("adapters", folder.resolve("gone")),
            "gone",
            "not a folder"),
        adapter("no adapter_config.json", a -> Files.delete(a.resolve(CONFIG)), CONFIG),
        adapter("no weights of an adapter", a -> Files.delete(a.resolve(WEIGHTS)), WEIGHTS),
        adapter(
            "an adapter that lacks a matrix",
            a -> WeightFile.editHeader(a.resolve(WEIGHTS), h -> rename(h, DOWN, DOWN + ".x")),
            "does not fit the model",
            "not part of the model",
            DOWN),
        adapter(
            "an adapter of another shape",
            a ->
                WeightFile.editHeader(
                    a.resolve(WEIGHTS),
                    h -> ((ObjectNode) h.get(DOWN)).putArray("shape").add(13).add(64)),
            "of a wrong shape",
            "[13, 64]",
            "[8, 104]"),
        adapter(
            "an adapter of another model",
            a -> {
              copy(a.getParent().resolve("other"), "qwen2");
              for (String name : new String[] {CONFIG, WEIGHTS}) {
                Files.copy(
                    a.getParent().resolve("other").resolve(name),
                    a.resolve(name),
                    StandardCopyOption.REPLACE_EXISTING);
              }
            },
            "made for model",
            "does not fit the model"),
        BadInput.of(
            "an adapter in place of a model",
            folder -> BadInput.good(folder).with("model", copy(folder.resolve("a"), "qwen3")),
            "holds an adapter and no model",
            "--adapters"),
        BadInput.of(
            "a model in place of an adapter's checkpoint",
            folder -> {
              TrainingCall whole = BadInput.good(folder).with("save", folder.resolve("whole"));
              whole.with("train_iters", 3).run();
              return BadInput.good(folder).with("adapter_load", folder.resolve("whole"));
            },
            "no adapter",
            "--load"));
  }

  private static List<BadInput> configurations() {
    return List.of(
        config("a rank of zero", c -> c.put("r", 0), "r 0", "at least 1"),
        config("a rank that is none", c -> c.put("r", "NaN"), "r \"NaN\"", "whole number"),
        config("another rank than the weights have", c -> c.put("r", 4), "[8, 64]", "[4, 64]"),
        config(
            "modules of different rank",
            c -> c.putObject("rank_pattern").put("q_proj", Double.NaN),
            "rank_pattern",
            "not supported"),
        config("an alpha that is no number", c -> c.put("lora_alpha", "big"), "lora_alpha", "big"),
        config("a dropout of one", c -> c.put("lora_dropout", 1), "lora_dropout", "below 1"),
        config("another kind of adapter", c -> c.put("peft_type", "IA3"), "IA3", "LORA"),
        config("a variant of LoRA", c -> c.put("use_dora", true), "use_dora", "DoRA"),
        config("biases of some layers", c -> c.put("bias", "lora_only"), "lora_only"),
        adapter(
            "a broken adapter_config.json",
            a -> Files.writeString(a.resolve(CONFIG), "{"),
            CONFIG));
  }

  private static List<BadInput> parameters() {
    return List.of(
        BadInput.of(
            "a rank without adapters",
            folder -> BadInput.good(folder).with("lora_rank", 4),
            "--lora_rank",
            "--tuner_type lora"),
        lora(
            "a target that is nowhere", "target_modules", "linear_xyz", "linear_xyz", "linear_qkv"),
        lora("routers of a dense model", "target_modules", "all-router", "no router"),
        lora("an adapter of the head", "target_modules", "output_layer", "--modules_to_save"),
        lora("a broken expression", "target_regex", "(", "--target_regex", "regular expression"),
        lora("an expression for nothing", "target_regex", "xyz", "xyz", "linear_qkv"),
        lora("a part of a fused module", "modules_to_save", "q_proj", "q_proj", "linear_qkv"),
        lora("a module to save that is not there", "modules_to_save", "xyz", "xyz"),
        lora("a module tuned twice", "modules_to_save", "linear_qkv", "--target_modules"),
        lora("frozen parts beside adapters", "freeze_parameters", "decoder.", "--tuner_type full"),
        lora("new tokens in a frozen embedding", "new_special_tokens", "<new>", "word_embeddings"),
        BadInput.of(
            "full training of an adapter",
            folder -> BadInput.good(folder).with("tuner_type", "full").with("adapters", folder),
            "--tuner_type full",
            "drop one"),
        full("nothing to train", "freeze_parameters_ratio", 1, "nothing to train"),
        full("a prefix of nothing", "freeze_parameters", "xyz", "--freeze_parameters xyz"),
        full(
            "a part of a fused parameter",
            "freeze_parameters",
            "model.layers.0.self_attn.q_proj",
            "q_proj",
            "linear_qkv"),
        full("trained, where nothing is frozen", "trainable_parameters", "decoder.", "nothing is"),
        full("a broken expression to freeze by", "freeze_parameters_regex", "[", "regular"));
  }

  private static BadInput full(String name, String parameter, Object value, String... phrases) {
    return BadInput.of(name, folder -> BadInput.good(folder).with(parameter, value), phrases);
  }

  private static BadInput lora(String name, String parameter, Object value, String... phrases) {
    return BadInput.of(
        name,
        folder -> BadInput.good(folder).with("tuner_type", "lora").with(parameter, value),
        phrases);
  }

  private static BadInput config(String name, Consumer<ObjectNode> change, String... phrases) {
    return adapter(
        name,
        a -> {
          ObjectNode config = (ObjectNode) JSON.readTree(a.resolve(CONFIG).toFile());
          change.accept(config);
          Files.writeString(a.resolve(CONFIG), config.toString());
        },
        phrases);
  }

  private static BadInput adapter(String name, Damage damage, String... phrases) {
    return BadInput.of(
        name,
        folder -> {
          Path adapter = copy(folder.resolve("adapter"), "qwen3");
          damage.to(adapter);
          return BadInput.good(folder).with("adapters", adapter);
        },
        phrases);
  }

  private static Path copy(Path into, String fixture) throws IOException {
    Files.createDirectories(into);
    Path from = Fixture.model().resolveSibling("../" + fixture + "/adapter_init").normalize();
    for (Path file : Fixture.files(from)) {
      Files.copy(file, into.resolve(file.getFileName().toString()));
    }
    return into;
  }

  private static void rename(ObjectNode header, String from, String to) {
    header.set(to, header.remove(from));
  }
}
