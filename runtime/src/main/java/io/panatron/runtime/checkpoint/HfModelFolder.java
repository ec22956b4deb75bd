package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A Hugging Face model folder to be written: weights in one safetensors file or in shards with an
 * index, {@code config.json} and the tokenizer's files.
 *
 * @param files configuration and tokenizer of the model trained
 * @param dtype the dtype the weights are saved in, written into {@code config.json}
 * @param weights under their Hugging Face names; tied weights once
 * @param maxShardBytes a file holds at most so many bytes of tensors, unless a single one is larger
 */
public record HfModelFolder(
    ModelFolderFiles files, SafetensorsDtype dtype, List<TensorSource> weights, long maxShardBytes)
    implements ModelFolder {
  private static final Pattern SHARD_SIZE = Pattern.compile("(\\d+(?:\\.\\d+)?) *([KMGT]i?B|B)?");

  public HfModelFolder {
    weights = List.copyOf(weights);
    if (maxShardBytes <= 0) {
      throw new IllegalArgumentException("maxShardBytes must be positive");
    }
  }

  /**
   * The bytes of a size such as {@code 5GB} (decimal), {@code 512MiB} (binary) or {@code 1000000}.
   *
   * @throws UserError naming {@code --max_shard_size} where it is none
   */
  public static long parseShardSize(String text) {
    Matcher matcher = SHARD_SIZE.matcher(text.strip().toUpperCase(Locale.ROOT).replace("IB", "iB"));
    if (!matcher.matches()) {
      throw badShardSize(text);
    }
    String unit = Objects.requireNonNullElse(matcher.group(2), "B");
    int power = "BKMGT".indexOf(unit.charAt(0));
    BigInteger scale = BigInteger.valueOf(unit.endsWith("iB") ? 1024 : 1000).pow(power);
    BigInteger bytes =
        new BigDecimal(matcher.group(1)).multiply(new BigDecimal(scale)).toBigInteger();
    if (bytes.signum() <= 0 || bytes.bitLength() > 62) {
      throw badShardSize(text);
    }
    return bytes.longValue();
  }

  private static UserError badShardSize(String text) {
    return new UserError(
        "--max_shard_size %s is not a size; write a number of bytes or one like 5GB, 200MB, 512MiB."
            .formatted(text));
  }

  /**
   * Writes the folder as a whole: it appears under its name when every file is on the disk.
   *
   * @throws UserError where {@code target} exists or the disk refuses
   */
  public void write(Path target) {
    write(target, CheckpointFiles.SYSTEM);
  }

  void write(Path target, CheckpointFiles system) {
    Path parent = Objects.requireNonNull(target.toAbsolutePath().getParent(), "a named folder");
    if (Files.exists(target)) {
      throw new UserError("%s exists already; choose another folder.".formatted(target));
    }
    try {
      Files.createDirectories(parent);
      Path temporary = parent.resolve("." + target.getFileName() + ".tmp");
      if (Files.exists(temporary)) {
        system.deleteTree(temporary);
      }
      TemporaryFolder.fill(
          system,
          temporary,
          () -> {
            writeInto(new ChecksummedFolder(system, temporary));
            system.forceDirectory(temporary);
            system.rename(temporary, target.toAbsolutePath());
          });
      system.forceDirectory(parent);
    } catch (IOException e) {
      throw new UserError(
          "The model cannot be written to %s, which needs %s: %s."
              .formatted(target, TemporaryFolder.readable(bytes()), FileFailure.reason(e)),
          e);
    }
  }

  @Override
  public HfModelFolder withWeights(List<TensorSource> changed) {
    return new HfModelFolder(files, dtype, changed, maxShardBytes);
  }

  /** The same weights with other small files. */
  public HfModelFolder withFiles(ModelFolderFiles changed) {
    return new HfModelFolder(changed, dtype, weights, maxShardBytes);
  }

  @Override
  public long bytes() {
    long bytes = files.configWithDtype(dtype).length;
    for (byte[] content : files.others().values()) {
      bytes += content.length;
    }
    for (List<TensorSource> shard : shards()) {
      bytes += SafetensorsWriter.fileBytes(shard);
    }
    return bytes;
  }

  void writeInto(ChecksummedFolder folder) throws IOException {
    folder.write(ModelFolderFiles.CONFIG, files.configWithDtype(dtype));
    for (Map.Entry<String, byte[]> file : files.others().entrySet()) {
      folder.write(file.getKey(), file.getValue());
    }
    List<List<TensorSource>> shards = shards();
    if (shards.size() == 1) {
      folder.write(
          ModelWeights.SINGLE_FILE, out -> SafetensorsWriter.write(shards.getFirst(), out));
      return;
    }
    Map<String, String> shardOf = new TreeMap<>();
    long totalBytes = 0;
    for (int i = 0; i < shards.size(); i++) {
      String name = "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
      List<TensorSource> shard = shards.get(i);
      folder.write(name, out -> SafetensorsWriter.write(shard, out));
      for (TensorSource tensor : shard) {
        if (shardOf.put(tensor.name(), name) != null) {
          throw new IllegalArgumentException("two tensors to save are named " + tensor.name());
        }
        totalBytes += tensor.byteSize();
      }
    }
    ObjectNode index = BoundedJson.newObject();
    index.putObject("metadata").put("total_size", totalBytes);
    ObjectNode weightMap = index.putObject("weight_map");
    shardOf.forEach(weightMap::put);
    folder.write(ModelWeights.INDEX_FILE, BoundedJson.toIndentedBytes(index));
  }

  /** The weights cut, in their order, wherever the next one would exceed the limit. */
  private List<List<TensorSource>> shards() {
    List<List<TensorSource>> shards = new ArrayList<>();
    List<TensorSource> current = new ArrayList<>();
    long bytes = 0;
    for (TensorSource tensor : weights) {
      if (!current.isEmpty() && bytes + tensor.byteSize() > maxShardBytes) {
        shards.add(current);
        current = new ArrayList<>();
        bytes = 0;
      }
      current.add(tensor);
      bytes += tensor.byteSize();
    }
    shards.add(current);
    return shards;
  }
}
