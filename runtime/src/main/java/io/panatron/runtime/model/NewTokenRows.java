package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.BitSet;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Draws the embedding and output rows of a {@link VocabularyGrowth}. */
final class NewTokenRows {
  private final Backend backend;
  private final ModelConfig config;
  private final WeightInitializer initializer;
  private final @Nullable VocabularyPart part;

  /**
   * Draws rows of one model.
   *
   * @param config with the rows of the run
   * @param parallel how ranks share the rows: all draw the same, and each keeps its own
   */
  NewTokenRows(
      Backend backend, ModelConfig config, WeightInitializer initializer, TensorParallel parallel) {
    this.backend = backend;
    this.config = config;
    this.initializer = initializer;
    this.part = parallel.vocabulary(config.vocabSize());
  }

  /**
   * Overwrites the new rows with normal numbers of the configuration's standard deviation, each
   * parameter from a stream of its own; {@code scratch} lends the staging tensors.
   */
  void initialize(ParameterStore store, VocabularyGrowth growth, MemoryScope scratch) {
    draw(store.parameter("model.embed_tokens.weight"), growth, scratch);
    if (!config.tieWordEmbeddings()) {
      draw(store.parameter("lm_head.weight"), growth, scratch);
    }
  }

  private void draw(Parameter parameter, VocabularyGrowth growth, MemoryScope scratch) {
    RandomGenerator random = initializer.stream(parameter.name() + ", new rows");
    SortedSet<Integer> rows = new TreeSet<>(empty(parameter, growth, scratch));
    for (int row = growth.rowsBefore(); row < growth.rows(); row++) {
      rows.add(row);
    }
    int first = part == null ? 0 : part.firstRow();
    double[] values = new double[config.hiddenSize()];
    for (int row : rows) {
      for (int i = 0; i < values.length; i++) {
        values[i] = config.initializerRange() * random.nextGaussian();
      }
      if (row >= first && row < first + parameter.shape().rows()) {
        Tensor drawn = HostTransfer.upload(backend.device(), scratch, "new row", values, DType.F32);
        backend.copy(drawn, parameter.value().slice(row - first, 1).reshape(values.length));
        scratch.release(drawn);
      }
    }
  }

  /** The new tokens, of all ranks, that have a row of zeros. */
  private Set<Integer> empty(Parameter parameter, VocabularyGrowth growth, MemoryScope scratch) {
    int first = part == null ? 0 : part.firstRow();
    int end = first + parameter.shape().rows();
    BitSet found = new BitSet();
    for (int id : growth.newIds()) {
      if (id < growth.rowsBefore()
          && id >= first
          && id < end
          && isZero(parameter.value().slice(id - first, 1), scratch)) {
        found.set(id);
      }
    }
    if (part != null) {
      part.group().allGather(found.toByteArray()).forEach(bytes -> found.or(BitSet.valueOf(bytes)));
    }
    return found.stream().boxed().collect(Collectors.toSet());
  }

  private boolean isZero(Tensor row, MemoryScope scratch) {
    Tensor wide = scratch.allocate("row", row.dtype().accumulator(), row.elements());
    backend.copy(row.reshape(row.elements()), wide);
    double squares = backend.sumOfSquares(wide);
    scratch.release(wide);
    return squares == 0;
  }
}
