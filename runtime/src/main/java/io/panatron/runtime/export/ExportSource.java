package io.panatron.runtime.export;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.checkpoint.ModelFolderFiles;
import io.panatron.runtime.checkpoint.ModelWeights;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.checkpoint.TensorSource;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.model.SavedWeights;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The model that is exported: its files mapped, its configuration read, its tensors found to be
 * those that the configuration asks for.
 *
 * @param folder a Hugging Face model folder, which a checkpoint is too
 * @param config what config.json means
 * @param files configuration, tokenizer and other small files
 * @param weights as the folder has them, by Hugging Face name
 * @param exact the float32 main parameters of a checkpoint whose weights are narrower, or null
 */
record ExportSource(
    Path folder,
    ModelConfig config,
    ModelFolderFiles files,
    Map<String, SafetensorsTensor> weights,
    @Nullable Map<String, SafetensorsTensor> exact) {

  /**
   * Opens a model folder, a checkpoint (every byte of which is compared with its manifest), or a
   * run folder.
   *
   * @param arena owns the mapped files
   * @param say receives what is worth knowing of damaged checkpoints
   */
  static ExportSource open(ExportConfig export, Arena arena, Consumer<String> say) {
    Path given = export.source();
    boolean loads = export.arguments().value("load") != null;
    Checkpoint checkpoint =
        loads || Checkpoint.isCheckpoint(given) ? Checkpoint.open(given, say) : null;
    Path folder = checkpoint == null ? given : checkpoint.folder();
    ModelConfig config = ModelConfig.read(folder);
    ModelWeights weights = SavedWeights.open(folder, config, arena);
    if (weights.isEmpty()) {
      throw new UserError(
          "%s holds no weights (model.safetensors), so there is nothing to export; give a trained model's folder."
              .formatted(folder));
    }
    SafetensorsFile main = checkpoint == null ? null : checkpoint.openMainParameters(arena);
    return new ExportSource(
        folder,
        config,
        ModelFolderFiles.readAll(folder, export.direction() == ExportConfig.Direction.TO_HF),
        weights.tensors(),
        main == null ? null : main.tensors());
  }

  /** The dtype that config.json is to name: what was asked for, else what it named before. */
  SafetensorsDtype named(@Nullable SafetensorsDtype asked) {
    if (asked != null) {
      return asked;
    }
    SafetensorsDtype before = config.dtype();
    return before == null ? weights.values().iterator().next().dtype() : before;
  }

  /** The tensors to save, in the order of the model. */
  List<TensorSource> tensors(@Nullable SafetensorsDtype asked) {
    List<TensorSource> sources = new ArrayList<>();
    for (String name : ParameterLayout.hfShapes(config).keySet()) {
      SafetensorsTensor stored = stored(name);
      SafetensorsDtype dtype = asked == null ? stored.dtype() : asked;
      SafetensorsTensor from = stored;
      if (exact != null && dtype != stored.dtype()) {
        // Rounding the rounded once more would not be the nearest number.
        from = Objects.requireNonNull(exact.get(name), name);
      }
      sources.add(FloatConversion.source(name, from, dtype));
    }
    return sources;
  }

  /** A tied tensor may be there under its second name alone. */
  private SafetensorsTensor stored(String name) {
    SafetensorsTensor stored = weights.get(name);
    if (stored != null) {
      return stored;
    }
    for (Map.Entry<String, String> tied : ParameterLayout.tiedHfNames(config).entrySet()) {
      if (tied.getValue().equals(name) && weights.containsKey(tied.getKey())) {
        return weights.get(tied.getKey());
      }
    }
    throw new IllegalStateException("no tensor " + name + " in " + folder);
  }
}
