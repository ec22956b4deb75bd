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
      try {
        long size = Files.size(file);
        if (size > MAX_FILE_BYTES) {
          throw new UserError(
              "%s is %,d bytes long, more than a file of its kind may have.".formatted(file, size));
        }
        others.put(name, Files.readAllBytes(file));
      } catch (IOException e) {
        throw new UserError("%s cannot be read: %s.".formatted(file, FileFailure.reason(e)), e);
      }
    }
    return new ModelFolderFiles(config, others);
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

  /** The same files and one more. */
  public ModelFolderFiles with(String name, byte[] content) {
    Map<String, byte[]> all = new LinkedHashMap<>(others);
    all.put(name, content);
    return new ModelFolderFiles(config, all);
  }

  /** The other files' contents by name. */
  public Map<String, byte[]> others() {
    return others;
  }
}
