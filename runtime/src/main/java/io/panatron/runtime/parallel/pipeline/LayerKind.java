package io.panatron.runtime.parallel.pipeline;

import org.jspecify.annotations.Nullable;

/** What a pipeline stage may hold, with its letter in {@code --pipeline_model_parallel_layout}. */
public enum LayerKind {
  EMBEDDING('E'),
  DECODER('t'),
  /** Multi-token prediction. */
  MTP('m'),
  LOSS('L');

  private final char letter;

  LayerKind(char letter) {
    this.letter = letter;
  }

  public char letter() {
    return letter;
  }

  static @Nullable LayerKind of(char letter) {
    for (LayerKind kind : values()) {
      if (kind.letter == letter) {
        return kind;
      }
    }
    return null;
  }
}
