package io.panatron.runtime.export;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.HfModelFolder;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.config.ArgumentsFile;
import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterState;
import io.panatron.runtime.config.ParsedArguments;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What {@code trainer export} was asked to do, checked.
 *
 * @param arguments the command line, kept for args.json
 * @param direction what is made of what
 * @param source a model folder, a checkpoint, or a run folder, whose newest checkpoint is meant
 * @param save the folder to be
 * @param replaces whether a folder of that name may be replaced
 * @param dtype of the exported weights; null for that of each in the source
 * @param maxShardBytes most bytes of a weight file
 * @param precisionTest dtype in which the logits of source and result are compared; null for no
 *     comparison
 * @param sourceDevice where the source's logits are computed: auto or a device
 */
public record ExportConfig(
    ParsedArguments arguments,
    Direction direction,
    Path source,
    Path save,
    boolean replaces,
    @Nullable SafetensorsDtype dtype,
    long maxShardBytes,
    @Nullable SafetensorsDtype precisionTest,
    String sourceDevice) {

  /** What is made of what. */
  public enum Direction {
    /** A checkpoint that {@code --load} takes, of a model folder. */
    TO_MCORE("mcore"),
    /** A model folder, of a checkpoint or another model folder. */
    TO_HF("hf");

    private final String suffix;

    Direction(String suffix) {
      this.suffix = suffix;
    }
  }

  private static final Set<String> HEEDED =
      Set.of(
          "to_mcore",
          "to_hf",
          "test_convert_precision",
          "test_convert_dtype",
          "exist_ok",
          "device_map",
          "model",
          "model_revision",
          "use_hf",
          "hub_token",
          "load",
          "save",
          "torch_dtype",
          "bf16",
          "fp16",
          "max_shard_size",
          "device",
          "threads",
          "check_memory",
          "config",
          "logging_level");

  /**
   * Reads the arguments of {@code trainer export}.
   *
   * @param fetched the folder that --model means, where it is not its value
   * @throws UserError for what contradicts itself or means nothing for an export
   */
  public static ExportConfig of(ParsedArguments a, @Nullable Path fetched) {
    Direction direction = direction(a);
    requireMeaning(a);
    Path source = source(a, direction, fetched);
    Path save = a.pathOrNull("save");
    return new ExportConfig(
        a,
        direction,
        source,
        save == null ? defaultSave(a, source, direction) : save,
        a.flag("exist_ok"),
        dtype(a),
        HfModelFolder.parseShardSize(a.text("max_shard_size")),
        precisionTest(a),
        a.text("device_map"));
  }

  private static Direction direction(ParsedArguments a) {
    boolean toMcore = a.flag("to_mcore");
    boolean toHf = a.flag("to_hf");
    if (toMcore == toHf) {
      throw new UserError(
          toMcore
              ? "--to_mcore true and --to_hf true exclude each other; keep one of them."
              : "trainer export needs to know what to make; give --to_mcore true (a checkpoint for"
                  + " --load, of a Hugging Face model) or --to_hf true (a Hugging Face model, of a"
                  + " checkpoint).");
    }
    return toMcore ? Direction.TO_MCORE : Direction.TO_HF;
  }

  private static void requireMeaning(ParsedArguments a) {
    List<String> strange =
        a.parameters().stream()
            .filter(p -> a.isGiven(p.name()) && !HEEDED.contains(p.name()))
            .filter(p -> p.state() != ParameterState.ACCEPTED)
            .filter(p -> !Objects.equals(a.value(p.name()), p.defaultValue()))
            .map(Parameter::name)
            .toList();
    if (!strange.isEmpty()) {
      throw new UserError(
          "--%s %s nothing to an export; leave %s out."
              .formatted(
                  String.join(", --", strange),
                  strange.size() == 1 ? "means" : "mean",
                  strange.size() == 1 ? "it" : "them"));
    }
  }

  private static Path source(ParsedArguments a, Direction direction, @Nullable Path fetched) {
    for (String name : List.of("model", "load", "save")) {
      String text = a.textOrNull(name);
      if (text != null && text.isBlank()) {
        throw new UserError("--%s is empty; give a value or leave it out.".formatted(name));
      }
    }
    Path model = fetched == null ? a.pathOrNull("model") : fetched;
    Path load = a.pathOrNull("load");
    if (direction == Direction.TO_MCORE && (model == null || load != null)) {
      throw new UserError(
          "--to_mcore true converts the folder of --model%s."
              .formatted(load == null ? ", which is missing; add it" : "; leave out --load"));
    }
    if (load == null && model == null) {
      throw new UserError(
          "--to_hf true converts the checkpoint of --load, which is missing; add it, or --model with"
              + " a Hugging Face folder to convert.");
    }
    if (load != null && model != null) {
      throw new UserError(
          "--to_hf true takes configuration and tokenizer from the checkpoint of --load; leave out"
              + " --model.");
    }
    return load == null ? Objects.requireNonNull(model) : load;
  }

  /** Beside a checkpoint, else in the working folder. */
  private static Path defaultSave(ParsedArguments a, Path source, Direction direction) {
    Path whole = source.toAbsolutePath().normalize();
    // As it was named: a folder of the hub's cache has the name of a commit.
    Path given = a.path(a.value("load") == null ? "model" : "load").toAbsolutePath().normalize();
    String name = given.getFileName() == null ? "model" : given.getFileName().toString();
    String own = name + "-" + direction.suffix;
    return Files.exists(whole.resolve(ArgumentsFile.NAME))
        ? whole.resolveSibling(own)
        : Path.of(own);
  }

  private static @Nullable SafetensorsDtype dtype(ParsedArguments a) {
    boolean bf16 = Boolean.TRUE.equals(a.flagOrNull("bf16"));
    boolean fp16 = Boolean.TRUE.equals(a.flagOrNull("fp16"));
    String asked = a.textOrNull("torch_dtype");
    if (bf16 && fp16) {
      throw new UserError("--bf16 true and --fp16 true exclude each other; keep one of them.");
    }
    String flag = bf16 ? "bfloat16" : fp16 ? "float16" : null;
    if (flag != null && asked != null && !flag.equals(asked)) {
      throw new UserError(
          "--%s true contradicts --torch_dtype %s; drop one of them."
              .formatted(bf16 ? "bf16" : "fp16", asked));
    }
    String name = asked == null ? flag : asked;
    return name == null ? null : SafetensorsDtype.ofTorchName(name);
  }

  private static @Nullable SafetensorsDtype precisionTest(ParsedArguments a) {
    if (!a.flag("test_convert_precision")) {
      for (String name : List.of("test_convert_dtype", "device_map")) {
        if (a.isGiven(name)) {
          throw new UserError(
              "--%s has no effect without --test_convert_precision true; add that or drop it."
                  .formatted(name));
        }
      }
      return null;
    }
    String name = a.text("test_convert_dtype");
    return switch (name) {
      case "float32" -> SafetensorsDtype.F32;
      case "bfloat16" -> SafetensorsDtype.BF16;
      case "float16" -> SafetensorsDtype.F16;
      default ->
          throw new UserError(
              "--test_convert_dtype %s is none of float32, bfloat16, float16; take one of these."
                  .formatted(name));
    };
  }
}
