package io.panatron.runtime.model;

import io.panatron.runtime.checkpoint.ModelWeights;
import java.lang.foreign.Arena;
import java.nio.file.Path;

/** The weight files of a model folder, found to be those of its configuration. */
public final class SavedWeights {
  private SavedWeights() {}

  /**
   * Maps the weights of a folder, under the names that {@link ParameterLayout#hfShapes} has.
   *
   * @param arena owns the mapped files
   * @return empty weights where the folder has none
   * @throws io.panatron.runtime.UserError naming everything that does not fit
   */
  public static ModelWeights open(Path folder, ModelConfig config, Arena arena) {
    ModelWeights weights =
        ModelWeights.open(folder, arena).under(config.family().weights().base(), "lm_head.weight");
    if (!weights.isEmpty()) {
      weights.match(ParameterLayout.hfShapes(config), ParameterLayout.tiedHfNames(config));
    }
    return weights;
  }
}
