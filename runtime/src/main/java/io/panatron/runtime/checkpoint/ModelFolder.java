package io.panatron.runtime.checkpoint;

import java.util.List;

/** What a checkpoint's top level is: a whole Hugging Face model, or an adapter in PEFT's format. */
public sealed interface ModelFolder permits AdapterFolder, HfModelFolder {
  /** The tensors of the weight files. */
  List<TensorSource> weights();

  /** The same folder with the same tensors from other sources, such as copies. */
  ModelFolder withWeights(List<TensorSource> weights);

  /** About how many bytes the folder takes. */
  long bytes();
}
