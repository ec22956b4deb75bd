package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * An adapter in PEFT's format to be written: {@code adapter_config.json}, {@code
 * adapter_model.safetensors}, and further small files.
 *
 * @param weights under PEFT's names
 * @param others small files by name, such as the tokenizer's, where it has new tokens
 * @param merged the whole model with the given weights of the adapter added; null to write none
 */
public record AdapterFolder(
    AdapterConfig config,
    List<TensorSource> weights,
    Map<String, byte[]> others,
    @Nullable Function<List<TensorSource>, HfModelFolder> merged)
    implements ModelFolder {
  public AdapterFolder {
    weights = List.copyOf(weights);
    others = Map.copyOf(others);
  }

  @Override
  public AdapterFolder withWeights(List<TensorSource> changed) {
    return new AdapterFolder(config, changed, others, merged);
  }

  @Override
  public long bytes() {
    long bytes = config.toBytes().length + SafetensorsWriter.fileBytes(weights);
    for (byte[] content : others.values()) {
      bytes += content.length;
    }
    return bytes;
  }

  void writeInto(ChecksummedFolder folder) throws IOException {
    folder.write(AdapterConfig.FILE_NAME, config.toBytes());
    for (Map.Entry<String, byte[]> file : new TreeMap<>(others).entrySet()) {
      folder.write(file.getKey(), file.getValue());
    }
    folder.write(AdapterFiles.WEIGHTS, out -> SafetensorsWriter.write(weights, out));
  }

  /** The merged model with the weights that this folder has; null if none is to be written. */
  @Nullable HfModelFolder mergedModel() {
    return merged == null ? null : merged.apply(weights);
  }
}
