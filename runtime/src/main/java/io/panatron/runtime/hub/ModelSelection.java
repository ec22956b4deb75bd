package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Which files of a model's repository are fetched: configuration, tokenizer and safetensors. What
 * could run code when it is read (pickles, scripts) never is.
 */
final class ModelSelection {
  static final String CONFIG = "config.json";
  static final String ADAPTER_CONFIG = "adapter_config.json";
  static final String TOKENIZER = "tokenizer.json";
  static final String SINGLE = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";

  private static final String ADAPTER = "adapter_model.safetensors";
  private static final Pattern SMALL =
      Pattern.compile("[^/]+\\.(?:json|jinja|model|tiktoken)|vocab\\.txt|merges\\.txt");
  private static final Pattern INDICES = Pattern.compile(".*\\.index\\.json");
  private static final Pattern PICKLES = Pattern.compile("[^/]+\\.(?:bin|pt|pth|ckpt|pkl)");
  private static final long MOST_SMALL_BYTES = 512L << 20;

  private ModelSelection() {}

  /** The files beside the weights. */
  static List<HubFile> small(List<HubFile> files) {
    List<HubFile> chosen = new ArrayList<>();
    for (HubFile file : files) {
      boolean index = INDICES.matcher(file.path()).matches() && !file.path().equals(INDEX);
      if (SMALL.matcher(file.path()).matches() && !index && file.size() <= MOST_SMALL_BYTES) {
        chosen.add(file);
      }
    }
    return chosen;
  }

  /**
   * The weight files: the single one, else the shards.
   *
   * @param shards that the index names; empty without an index
   * @throws UserError where there are weights, but none in safetensors, or a shard is not there
   */
  static List<HubFile> weights(HubRepository repository, List<HubFile> files, List<String> shards) {
    List<HubFile> chosen = new ArrayList<>(named(files, ADAPTER));
    if (!named(files, SINGLE).isEmpty()) {
      chosen.addAll(named(files, SINGLE));
      return chosen;
    }
    for (String shard : shards) {
      List<HubFile> found = named(files, shard);
      if (found.isEmpty()) {
        throw new UserError(
            "%s on the hub lists %s in its %s, but has no such file; give another --model_revision."
                .formatted(repository.id(), shard, INDEX));
      }
      chosen.addAll(found);
    }
    List<String> pickles =
        files.stream().map(HubFile::path).filter(p -> PICKLES.matcher(p).matches()).toList();
    if (chosen.isEmpty() && !pickles.isEmpty()) {
      throw new UserError(
          "%s on the hub has its weights only as %s, which can run code when read and is not fetched; give a repository or --model_revision with safetensors."
              .formatted(repository.id(), pickles.getFirst()));
    }
    return chosen;
  }

  static List<HubFile> named(List<HubFile> files, String path) {
    return files.stream().filter(file -> file.path().equals(path)).toList();
  }
}
