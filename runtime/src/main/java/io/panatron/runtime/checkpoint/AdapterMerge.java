package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Adds an adapter's weights to those of the model it was made for: {@code weight + scale B A},
 * rounded once to the model's dtype. Modules that the adapter saves whole replace the model's.
 *
 * <p>Computes on the host, tensor by tensor, while the merged model is written.
 */
public final class AdapterMerge {
  private static final String PREFIX = "base_model.model.";
  private static final String HEAD = "lm_head.weight";
  private static final String TIED_KEY = "tie_word_embeddings";

  private final Map<String, TensorSource> adapter = new LinkedHashMap<>();
  private final Set<String> used = new HashSet<>();
  private final AdapterConfig config;
  private final String source;

  private AdapterMerge(AdapterConfig config, List<TensorSource> adapter, String source) {
    this.config = config;
    this.source = source;
    adapter.forEach(tensor -> this.adapter.put(tensor.name(), tensor));
  }

  /**
   * The merged model of an adapter whose weights fit the model, as those of a training run do.
   *
   * @param model with the weights of the base, under Hugging Face's names
   * @param adapter under PEFT's names
   */
  public static HfModelFolder merged(
      HfModelFolder model, AdapterConfig config, List<TensorSource> adapter) {
    return new AdapterMerge(config, adapter, "this run").merge(model);
  }

  /**
   * Merges the adapter in one folder into the model in another, and writes the result as a Hugging
   * Face folder.
   *
   * @param target must not exist; appears when it is complete
   * @param maxShardBytes as {@link HfModelFolder} has it
   * @throws UserError where a folder is unreadable, the adapter does not fit the model, or the disk
   *     refuses
   */
  public static void write(Path model, Path adapter, Path target, long maxShardBytes) {
    AdapterFiles files = AdapterFiles.open(adapter);
    ModelFolderFiles small = ModelFolderFiles.read(model);
    try (Arena arena = Arena.ofConfined()) {
      ModelWeights base = ModelWeights.open(model, arena);
      if (base.isEmpty()) {
        throw new UserError(
            "%s holds no weights, so the adapter %s cannot be merged into it; give the model it was made for."
                .formatted(model, adapter));
      }
      SafetensorsFile weights = SafetensorsFile.open(adapter.resolve(AdapterFiles.WEIGHTS), arena);
      List<TensorSource> tensors = sources(base.tensors());
      var folder = new HfModelFolder(small, dtype(tensors), tensors, maxShardBytes);
      new AdapterMerge(files.config(), sources(weights.tensors()), adapter.toString())
          .merge(folder)
          .write(target);
    }
  }

  private static List<TensorSource> sources(Map<String, SafetensorsTensor> tensors) {
    return tensors.values().stream()
        .map(tensor ->
            TensorSource.ofSegment(tensor.name(), tensor.dtype(), tensor.shape(), tensor::data))
        .toList();
  }

  /** The dtype of the largest tensor, which config.json then names. */
  private static SafetensorsDtype dtype(List<TensorSource> tensors) {
    TensorSource largest = tensors.getFirst();
    for (TensorSource tensor : tensors) {
      largest = tensor.byteSize() > largest.byteSize() ? tensor : largest;
    }
    return largest.dtype();
  }

  private HfModelFolder merge(HfModelFolder model) {
    List<TensorSource> merged = new ArrayList<>();
    TensorSource embedding = null;
    boolean hasHead = false;
    for (TensorSource tensor : model.weights()) {
      merged.add(merge(tensor));
      hasHead |= tensor.name().equals(HEAD);
      if (take(module(tensor.name()) + ".lora_embedding_A") != null) {
        embedding = tensor;
      }
    }
    ModelFolderFiles files = model.files();
    TensorSource head = hasHead ? null : separateHead(embedding);
    if (head != null) {
      merged.add(head);
      ObjectNode changed = files.config();
      changed.put(TIED_KEY, false);
      files = files.withConfig(changed);
    }
    for (String name : adapter.keySet()) {
      if (!used.contains(name)) {
        throw new UserError(
            "The adapter in %s, made for %s, has %s, which fits no tensor of the model; give the model it was made for."
                .formatted(
                    source, config.base().isEmpty() ? "another model" : config.base(), name));
      }
    }
    return new HfModelFolder(files, model.dtype(), merged, model.maxShardBytes());
  }

  /**
   * An output layer that a model with tied embeddings needs once these are no longer equal: the
   * embedding without its adapter, or a head that the adapter saves for itself.
   */
  private @Nullable TensorSource separateHead(@Nullable TensorSource adaptedEmbedding) {
    if (adaptedEmbedding != null) {
      return new TensorSource(
          HEAD, adaptedEmbedding.dtype(), adaptedEmbedding.shape(), adaptedEmbedding::writeTo);
    }
    TensorSource saved = take(HEAD);
    if (saved == null) {
      return null;
    }
    boolean tied =
        adapter.values().stream()
            .anyMatch(other ->
                other != saved
                    && Arrays.equals(other.shape(), saved.shape())
                    && sameBytes(other, saved));
    return tied ? null : new TensorSource(HEAD, saved.dtype(), saved.shape(), saved::writeTo);
  }

  private static boolean sameBytes(TensorSource a, TensorSource b) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment first = arena.allocate(a.byteSize(), 8);
      MemorySegment second = arena.allocate(b.byteSize(), 8);
      a.copyTo(first);
      b.copyTo(second);
      return first.mismatch(second) == -1;
    } catch (IOException e) {
      throw new UserError("the adapter's weights cannot be read: " + FileFailure.reason(e), e);
    }
  }

  private static String module(String tensor) {
    int dot = tensor.lastIndexOf('.');
    return dot < 0 ? tensor : tensor.substring(0, dot);
  }

  private @Nullable TensorSource take(String name) {
    TensorSource tensor = adapter.get(PREFIX + name);
    if (tensor != null) {
      used.add(PREFIX + name);
    }
    return tensor;
  }

  private TensorSource merge(TensorSource base) {
    TensorSource whole = take(base.name());
    String module = module(base.name());
    TensorSource layer = take(module + ".base_layer" + base.name().substring(module.length()));
    if (whole == null && base.name().endsWith(".bias")) {
      whole = layer; // of an adapted module; its weight is the model's own
    }
    if (whole != null) {
      requireShape(base, whole, base.shape());
      TensorSource replacement = whole;
      return new TensorSource(
          base.name(), base.dtype(), base.shape(), out -> convert(base, replacement, out));
    }
    if (!base.name().endsWith(".weight") || base.shape().length != 2) {
      return base;
    }
    TensorSource down = take(module + ".lora_A.weight");
    boolean embedding = down == null;
    down = embedding ? take(module + ".lora_embedding_A") : down;
    TensorSource up = take(module + (embedding ? ".lora_embedding_B" : ".lora_B.weight"));
    if (down == null && up == null) {
      return base;
    }
    if (down == null || up == null) {
      throw new UserError(
          "The adapter in %s has only one of the two matrices of %s; copy it again."
              .formatted(source, module));
    }
    boolean transposed = embedding || config.transposed();
    long rows = base.shape()[0];
    long columns = base.shape()[1];
    requireShape(base, down, config.rank(), transposed ? rows : columns);
    requireShape(base, up, transposed ? columns : rows, config.rank());
    Product product = new Product(base, down, up, scale(), transposed);
    return new TensorSource(base.name(), base.dtype(), base.shape(), product::writeTo);
  }

  private double scale() {
    return config.rankStabilised()
        ? config.alpha() / Math.sqrt(config.rank())
        : config.alpha() / config.rank();
  }

  private void requireShape(TensorSource base, TensorSource tensor, long... shape) {
    if (!Arrays.equals(tensor.shape(), shape)) {
      throw new UserError(
          "The adapter in %s has %s of shape %s, where %s of the model and r %d need %s; give the model it was made for."
              .formatted(
                  source,
                  tensor.name(),
                  Arrays.toString(tensor.shape()),
                  base.name(),
                  config.rank(),
                  Arrays.toString(shape)));
    }
  }

  private static void convert(TensorSource base, TensorSource from, WritableByteChannel out)
      throws IOException {
    if (from.dtype() == base.dtype()) {
      from.writeTo(out);
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      double[] values = HostNumbers.read(from, arena);
      MemorySegment converted = arena.allocate(base.byteSize(), 8);
      HostNumbers.write(values, base.dtype(), converted, 0, values.length);
      TensorSource.write(converted, out);
    }
  }

  /**
   * {@code base + scale left right}, row by row.
   *
   * @param transposed whether base has rows where B A has columns
   */
  private record Product(
      TensorSource base, TensorSource down, TensorSource up, double scale, boolean transposed) {

    void writeTo(WritableByteChannel out) throws IOException {
      int rows = Math.toIntExact(base.shape()[0]);
      int columns = Math.toIntExact(base.shape()[1]);
      int rank = Math.toIntExact(down.shape()[0]);
      try (Arena arena = Arena.ofConfined()) {
        double[] a = HostNumbers.read(down, arena);
        double[] b = HostNumbers.read(up, arena);
        double[] left = transposed ? HostNumbers.transposed(a, rank, rows) : b;
        double[] right = transposed ? HostNumbers.transposed(b, columns, rank) : a;
        MemorySegment memory = arena.allocate(base.byteSize(), 8);
        base.copyTo(memory);
        double[] row = new double[columns];
        for (int i = 0; i < rows; i++) {
          HostNumbers.read(base.dtype(), memory, (long) i * columns, row);
          for (int r = 0; r < rank; r++) {
            HostNumbers.addScaled(scale * left[i * rank + r], right, r * columns, row);
          }
          HostNumbers.write(row, base.dtype(), memory, (long) i * columns, columns);
        }
        TensorSource.write(memory, out);
      }
    }
  }
}
