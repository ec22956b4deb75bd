package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.Set;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/** Draws the embedding and output rows of a {@link VocabularyGrowth}. */
final class NewTokenRows {
  private final Backend backend;
  private final ModelConfig config;
  private final WeightInitializer initializer;

  /**
   * Draws rows of one model.
   *
   * @param config with the rows of the run
   */
  NewTokenRows(Backend backend, ModelConfig config, WeightInitializer initializer) {
    this.backend = backend;
    this.config = config;
    this.initializer = initializer;
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
    Set<Integer> rows = new TreeSet<>();
    for (int id : growth.newIds()) {
      if (id < growth.rowsBefore() && isZero(parameter.value().slice(id, 1), scratch)) {
        rows.add(id);
      }
    }
    for (int row = growth.rowsBefore(); row < growth.rows(); row++) {
      rows.add(row);
    }
    double[] values = new double[config.hiddenSize()];
    for (int row : rows) {
      for (int i = 0; i < values.length; i++) {
        values[i] = config.initializerRange() * random.nextGaussian();
      }
      Tensor drawn = HostTransfer.upload(backend.device(), scratch, "new row", values, DType.F32);
      backend.copy(drawn, parameter.value().slice(row, 1).reshape(values.length));
      scratch.release(drawn);
    }
  }

  private boolean isZero(Tensor row, MemoryScope scratch) {
    Tensor wide = scratch.allocate("row", row.dtype().accumulator(), row.elements());
    backend.copy(row.reshape(row.elements()), wide);
    double squares = backend.sumOfSquares(wide);
    scratch.release(wide);
    return squares == 0;
  }
}
