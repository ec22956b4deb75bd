package io.panatron.runtime.checkpoint;

import io.panatron.runtime.UserError;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * An adapter in PEFT's format, its configuration read and the names of its tensors known.
 *
 * @param names of the tensors, as in the file
 */
public record AdapterFiles(Path folder, AdapterConfig config, Set<String> names) {
  static final String WEIGHTS = "adapter_model.safetensors";
  private static final int LISTED = 6;

  public AdapterFiles {
    names = Set.copyOf(names);
  }

  /** Whether a folder holds an adapter. */
  public static boolean isAdapter(Path folder) {
    return Files.exists(folder.resolve(AdapterConfig.FILE_NAME));
  }

  /** Whether a folder holds an adapter and no model. */
  public static boolean isAdapterAlone(Path folder) {
    return isAdapter(folder) && !Files.exists(folder.resolve(ModelFolderFiles.CONFIG));
  }

  /**
   * Reads the configuration and the header of the weights.
   *
   * @throws UserError where a file is missing or malformed
   */
  public static AdapterFiles open(Path folder) {
    if (!Files.isDirectory(folder)) {
      throw new UserError(
          "the adapter %s is not a folder; give one with %s and %s on this machine."
              .formatted(folder, AdapterConfig.FILE_NAME, WEIGHTS));
    }
    for (String name : new String[] {AdapterConfig.FILE_NAME, WEIGHTS}) {
      if (!Files.exists(folder.resolve(name))) {
        throw new UserError(
            "%s holds no %s, so it is no adapter in PEFT's format; %s."
                .formatted(
                    folder,
                    name,
                    Files.exists(folder.resolve("adapter_model.bin"))
                        ? "its adapter_model.bin can run code when read, so save it as safetensors"
                        : "give the folder of one"));
      }
    }
    AdapterConfig config = AdapterConfig.read(folder);
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.open(folder.resolve(WEIGHTS), arena);
      return new AdapterFiles(folder, config, file.tensors().keySet());
    }
  }

  /**
   * Maps the weights and compares them with those that the adapted model needs.
   *
   * @param expected name to shape
   * @throws UserError naming what is missing, unknown or mis-shaped
   */
  public SafetensorsFile openWeights(Arena arena, Map<String, long[]> expected) {
    SafetensorsFile file = SafetensorsFile.open(folder.resolve(WEIGHTS), arena);
    Map<String, SafetensorsTensor> found = new LinkedHashMap<>(file.tensors());
    // PEFT keeps a copy of an embedding that has an adapter.
    found.keySet().removeIf(name -> name.endsWith(".base_layer.weight"));
    WeightMismatch mismatch = WeightMismatch.between(found, expected, Map.of());
    if (!mismatch.isEmpty()) {
      throw new UserError(
          "The adapter in %s, made for %s, does not fit the model: %s."
              .formatted(
                  folder,
                  config.base().isEmpty() ? "a model it does not name" : config.base(),
                  mismatch.describe(LISTED)));
    }
    return file;
  }
}
