package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The small files of a Hugging Face model folder (configuration, tokenizer), held in memory from
 * the start of a run, so that saving works also when the folder they came from is gone by then.
 */
public final class ModelFolderFiles {
  static final String CONFIG = "config.json";
  private static final long MAX_CONFIG_BYTES = 16L << 20;
  private static final long MAX_FILE_BYTES = 512L << 20;

  /** What is copied, where it is there. */
  private static final List<String> COPIED =
      List.of(
          "generation_config.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "chat_template.jinja",
          "chat_template.json",
          "vocab.json",
          "merges.txt",
          "added_tokens.json",
          "tokenizer.model");

  /** What beside these an export takes along: whatever small file is no weight and no state. */
  private static final Pattern COMPANION =
      Pattern.compile(
          "(?!config\\.json|args\\.json|manifest\\.json|latest_checkpointed_iteration\\.txt)"
              + "[A-Za-z0-9][A-Za-z0-9._-]{0,199}\\.(json|jsonl|jinja|txt|model|tiktoken|vocab|bpe|py|md)"
              + "|LICENSE[A-Za-z0-9._-]{0,40}|NOTICE[A-Za-z0-9._-]{0,40}");

  private static final Pattern INDEX = Pattern.compile(".*\\.index\\.json");

  private final ObjectNode config;
  private final Map<String, byte[]> others;

  private ModelFolderFiles(ObjectNode config, Map<String, byte[]> others) {
    this.config = config;
    this.others = Collections.unmodifiableMap(others);
  }

  /**
   * Reads {@code config.json} and whatever tokenizer and generation files there are.
   *
   * @throws UserError where {@code config.json} is missing or not JSON, or a file is unreadable
   */
  public static ModelFolderFiles read(Path folder) {
    ObjectNode config = BoundedJson.readObject(folder.resolve(CONFIG), MAX_CONFIG_BYTES);
    Map<String, byte[]> others = new LinkedHashMap<>();
    for (String name : COPIED) {
      Path file = folder.resolve(name);
      if (!Files.isRegularFile(file)) {
        continue;
      }
      others.put(name, content(file));
    }
    return new ModelFolderFiles(config, others);
  }

  /**
   * As {@link #read}, with every other small file of the folder that is no weight and no state of a
   * run: processors, licence, model card, code that {@code config.json} names.
   *
   * @param withArguments whether {@code args.json} counts, by which the model's template is found
   */
  public static ModelFolderFiles readAll(Path folder, boolean withArguments) {
    ModelFolderFiles named = read(folder);
    Map<String, byte[]> all = new LinkedHashMap<>(named.others);
    Path arguments = folder.resolve(CheckpointLayout.ARGS);
    if (withArguments && Files.isRegularFile(arguments)) {
      all.put(CheckpointLayout.ARGS, content(arguments));
    }
    List<Path> files;
    try (Stream<Path> listed = Files.list(folder)) {
      files =
          listed
              .filter(file -> isCompanion(String.valueOf(file.getFileName())))
              .filter(Files::isRegularFile)
              .sorted()
              .toList();
    } catch (IOException e) {
      throw new UserError("%s cannot be listed: %s.".formatted(folder, FileFailure.reason(e)), e);
    }
    for (Path file : files) {
      String name = String.valueOf(file.getFileName());
      if (!all.containsKey(name)) {
        all.put(name, content(file));
      }
    }
    return new ModelFolderFiles(named.config, all);
  }

  /** Whether a file of this name belongs to a model without being a weight or its configuration. */
  static boolean isCompanion(String name) {
    return COMPANION.matcher(name).matches() && !INDEX.matcher(name).matches();
  }

  private static byte[] content(Path file) {
    try {
      long size = Files.size(file);
      if (size > MAX_FILE_BYTES) {
        throw new UserError(
            "%s is %,d bytes long, more than a file of its kind may have.".formatted(file, size));
      }
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UserError("%s cannot be read: %s.".formatted(file, FileFailure.reason(e)), e);
    }
  }

  /** A copy of {@code config.json}. */
  public ObjectNode config() {
    return config.deepCopy();
  }

  /** The same files with another {@code config.json}. */
  public ModelFolderFiles withConfig(ObjectNode changed) {
    return new ModelFolderFiles(changed.deepCopy(), others);
  }

  /** {@code config.json} with the dtype keys set to the dtype the weights are saved in. */
  byte[] configWithDtype(SafetensorsDtype dtype) {
    ObjectNode copy = config.deepCopy();
    // transformers 4 reads torch_dtype only; 5 prefers dtype where both are there.
    copy.put("torch_dtype", dtype.torchName());
    if (config.has("dtype")) {
      copy.put("dtype", dtype.torchName());
    }
    return BoundedJson.toIndentedBytes(copy);
  }

  /** The same files with other contents of some, and another {@code vocab_size}. */
  public ModelFolderFiles with(Map<String, byte[]> changed, int vocabSize) {
    ObjectNode copy = config.deepCopy();
    copy.put("vocab_size", vocabSize);
    Map<String, byte[]> all = new LinkedHashMap<>(others);
    all.putAll(changed);
    return new ModelFolderFiles(copy, all);
  }

  /** The other files' contents by name. */
  public Map<String, byte[]> others() {
    return others;
  }
}
