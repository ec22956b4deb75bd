package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a Hugging Face model folder, one file or several shards, memory-mapped.
 *
 * <p>The tensors live as long as the arena given to {@link #open}. A folder without any weight file
 * gives {@link #isEmpty() empty} weights; whether that means random initialisation is the caller's
 * decision.
 */
public final class ModelWeights {
  static final String SINGLE_FILE = "model.safetensors";
  static final String INDEX_FILE = "model.safetensors.index.json";
  private static final long MAX_INDEX_BYTES = 100_000_000;
  private static final int LISTED = 20;

  private final Path folder;
  private final Map<String, SafetensorsTensor> tensors;

  private ModelWeights(Path folder, Map<String, SafetensorsTensor> tensors) {
    this.folder = folder;
    this.tensors = Collections.unmodifiableMap(tensors);
  }

  /**
   * Maps the weights of a folder: {@code model.safetensors}, else the shards that {@code
   * model.safetensors.index.json} names.
   *
   * @throws UserError where a file is broken, a shard is missing or lies outside the folder, the
   *     index and the shards disagree, or the folder holds only weights of another format
   */
  public static ModelWeights open(Path folder, Arena arena) {
    if (!Files.isDirectory(folder)) {
      throw new UserError(
          "%s is not a folder; give a Hugging Face model folder on this machine."
              .formatted(folder));
    }
    if (Files.exists(folder.resolve(SINGLE_FILE))) {
      SafetensorsFile file = SafetensorsFile.open(folder.resolve(SINGLE_FILE), arena);
      return new ModelWeights(folder, file.tensors());
    }
    if (Files.exists(folder.resolve(INDEX_FILE))) {
      return new ModelWeights(folder, openShards(folder, arena));
    }
    refuseOtherFormats(folder);
    return new ModelWeights(folder, Map.of());
  }

  private static Map<String, SafetensorsTensor> openShards(Path folder, Arena arena) {
    Path index = folder.resolve(INDEX_FILE);
    Map<String, String> shardOf = readIndex(index);
    Map<String, SafetensorsFile> shards = new TreeMap<>();
    TreeSet<String> names = new TreeSet<>(shardOf.values());
    List<String> missing =
        names.stream().filter(name -> !Files.exists(folder.resolve(name))).toList();
    if (!missing.isEmpty()) {
      throw new UserError(
          "%s lists %d shard(s) that the folder lacks (%s); fetch them again."
              .formatted(index, missing.size(), listed(missing)));
    }
    for (String name : names) {
      shards.put(name, SafetensorsFile.open(folder.resolve(name), arena));
    }
    Map<String, SafetensorsTensor> tensors = new LinkedHashMap<>();
    Map<String, String> foundIn = new TreeMap<>();
    shards.forEach((shard, file) ->
        file.tensors()
            .forEach((tensor, data) -> {
              String other = foundIn.put(tensor, shard);
              if (other != null) {
                throw new UserError(
                    "Tensor %s is in both %s and %s of %s; keep one of them."
                        .formatted(tensor, other, shard, folder));
              }
              tensors.put(tensor, data);
            }));
    List<String> misplaced =
        shardOf.entrySet().stream()
            .filter(listed -> !listed.getValue().equals(foundIn.get(listed.getKey())))
            .map(listed ->
                "%s (listed in %s, found in %s)"
                    .formatted(
                        listed.getKey(),
                        listed.getValue(),
                        foundIn.getOrDefault(listed.getKey(), "no shard")))
            .toList();
    if (!misplaced.isEmpty()) {
      throw new UserError(
          "%s does not fit its shards for %d tensor(s): %s."
              .formatted(index, misplaced.size(), listed(misplaced)));
    }
    return tensors;
  }

  private static Map<String, String> readIndex(Path index) {
    ObjectNode root = BoundedJson.readObject(index, MAX_INDEX_BYTES);
    if (!(root.get("weight_map") instanceof ObjectNode weightMap) || weightMap.isEmpty()) {
      throw new UserError(
          "%s has no weight_map that names a shard for each tensor.".formatted(index));
    }
    Map<String, String> shardOf = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : weightMap.properties()) {
      String shard = entry.getValue().isTextual() ? entry.getValue().textValue() : "";
      if (!shard.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,199}\\.safetensors")) {
        throw new UserError(
            "%s puts tensor %s into %s, which is not the name of a .safetensors file beside it."
                .formatted(index, entry.getKey(), entry.getValue()));
      }
      shardOf.put(entry.getKey(), shard);
    }
    return shardOf;
  }

  private static void refuseOtherFormats(Path folder) {
    TreeSet<String> found;
    try (Stream<Path> files = Files.list(folder)) {
      found =
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> name.matches(".*\\.(safetensors|bin|bin\\.index\\.json|pt|pth|gguf)"))
              .collect(Collectors.toCollection(TreeSet::new));
    } catch (IOException e) {
      throw new UserError("%s cannot be listed: %s.".formatted(folder, FileFailure.reason(e)), e);
    }
    List<String> safetensors = found.stream().filter(n -> n.endsWith(".safetensors")).toList();
    if (!safetensors.isEmpty()) {
      throw new UserError(
          "%s holds %s but neither %s nor %s, so it is not a complete model folder."
              .formatted(folder, listed(safetensors), SINGLE_FILE, INDEX_FILE));
    }
    if (!found.isEmpty()) {
      throw new UserError(
          "%s holds weights only as %s, which can run code when read; convert them to safetensors, "
                  .formatted(folder, listed(found))
              + "for instance with save_pretrained(..., safe_serialization=True) of transformers.");
    }
  }

  /**
   * The same tensors with {@code prefix} before their names, unless one has it already: how a base
   * model is saved without its head, as the first GPT-2 checkpoints were.
   *
   * @param kept the name that never has it, such as {@code lm_head.weight}
   */
  public ModelWeights under(String prefix, String kept) {
    if (tensors.keySet().stream().anyMatch(name -> name.startsWith(prefix))) {
      return this;
    }
    Map<String, SafetensorsTensor> renamed = new LinkedHashMap<>();
    tensors.forEach(
        (name, tensor) -> renamed.put(name.equals(kept) ? name : prefix + name, tensor));
    return new ModelWeights(folder, renamed);
  }

  /** The same tensors but one, if it is there. */
  public ModelWeights without(String name) {
    Map<String, SafetensorsTensor> others = new LinkedHashMap<>(tensors);
    others.remove(name);
    return new ModelWeights(folder, others);
  }

  public Path folder() {
    return folder;
  }

  /** Whether the folder holds no weights at all. */
  public boolean isEmpty() {
    return tensors.isEmpty();
  }

  /** All tensors by Hugging Face name. */
  public Map<String, SafetensorsTensor> tensors() {
    return tensors;
  }

  /** The tensor of this name, or null. */
  public @Nullable SafetensorsTensor tensor(String name) {
    return tensors.get(name);
  }

  /** As {@link #match(Map, Map)} for a model without tied weights. */
  public void match(Map<String, long[]> expected) {
    match(expected, Map.of());
  }

  /**
   * Compares the folder's tensors with those the model needs and reports every difference at once.
   *
   * <p>Buffers that old checkpoints carry along (rotary frequencies, causal masks, position ids)
   * are ignored. A tied tensor may be there under its second name if its bytes equal the first's.
   *
   * @param expected Hugging Face name to shape
   * @param tied second name to first name, such as {@code lm_head.weight} to {@code
   *     model.embed_tokens.weight}
   * @throws UserError naming missing, unknown, mis-shaped and wrongly typed tensors (20 of each and
   *     their count)
   */
  public void match(Map<String, long[]> expected, Map<String, String> tied) {
    match(expected, tied, "its config.json");
  }

  /**
   * As {@link #match(Map, Map)}.
   *
   * @param source what says that these tensors are expected, for the message
   */
  public void match(Map<String, long[]> expected, Map<String, String> tied, String source) {
    WeightMismatch mismatch = WeightMismatch.between(tensors, expected, tied);
    if (!mismatch.isEmpty()) {
      throw new UserError(
          "The weights in %s do not fit %s: %s."
              .formatted(folder, source, mismatch.describe(LISTED)));
    }
  }

  private static String listed(Iterable<String> names) {
    return WeightMismatch.listed(names, LISTED);
  }
}
