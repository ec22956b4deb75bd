package io.panatron.runtime.checkpoint;

import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Everything one checkpoint is made of. Tensors are sources, read while the files are written.
 *
 * @param iteration the training iteration; names the folder
 * @param model the Hugging Face folder, or the adapter, at the checkpoint's top level
 * @param mainParameters the optimizer's fp32 copy of the weights; empty where the model's own
 *     weights are fp32 (or {@code --no_save_optim})
 * @param optimizer moments and whatever else the optimizer keeps; empty for {@code --no_save_optim}
 * @param trainerState position in data, schedule and random streams
 * @param argsJson the run's arguments, the content of {@code args.json}
 */
public record CheckpointContents(
    long iteration,
    ModelFolder model,
    List<TensorSource> mainParameters,
    List<TensorSource> optimizer,
    TrainerState trainerState,
    String argsJson) {
  /** For index, tracker, manifest, and what the file system rounds up. */
  private static final long SMALL_FILES_BYTES = 64 << 10;

  public CheckpointContents {
    mainParameters = List.copyOf(mainParameters);
    optimizer = List.copyOf(optimizer);
    if (iteration < 0 || iteration != trainerState.iteration()) {
      throw new IllegalArgumentException(
          "checkpoint of iteration %d with the state of iteration %d"
              .formatted(iteration, trainerState.iteration()));
    }
  }

  byte[] argsBytes() {
    return argsJson.getBytes(StandardCharsets.UTF_8);
  }

  /** About how many bytes the checkpoint takes on the disk. */
  long bytes() {
    return model.bytes()
        + SafetensorsWriter.fileBytes(mainParameters)
        + SafetensorsWriter.fileBytes(optimizer)
        + trainerState.toBytes().length
        + argsBytes().length
        + SMALL_FILES_BYTES;
  }
}
