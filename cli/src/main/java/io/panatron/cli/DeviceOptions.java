package io.panatron.cli;

import io.panatron.kernels.DType;
import io.panatron.kernels.Workload;
import io.panatron.runtime.UserError;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.parallel.RankContext;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where and in which precision a command without training computes. */
final class DeviceOptions {
  @Option(
      names = "--device",
      defaultValue = "auto",
      paramLabel = "DEVICE",
      description = "auto, cpu or reference; default: auto.")
  private String device = "auto";

  @Option(names = "--threads", paramLabel = "N", description = "CPU threads; default: every core.")
  private @Nullable Integer threads;

  @Option(
      names = "--torch_dtype",
      paramLabel = "DTYPE",
      description = "float32, bfloat16 or float16; default: what config.json says.")
  private @Nullable String torchDtype;

  RankContext open() {
    if (threads != null && threads < 1) {
      throw new UserError("--threads is %d; it must be at least 1.".formatted(threads));
    }
    return DeviceChoice.openRank(device, threads, Workload.GENERATION);
  }

  /** The precision asked for, else the model's own. */
  DType dtype(ModelConfig config) {
    String named = config.dtype() == null ? "float32" : config.dtype().torchName();
    String chosen = torchDtype == null ? named : torchDtype;
    return switch (chosen) {
      case "float32" -> DType.F32;
      case "bfloat16" -> DType.BF16;
      case "float16" -> DType.F16;
      default ->
          throw new UserError(
              (torchDtype == null
                      ? "config.json of the model names %s, in which this device cannot compute;"
                          + " choose --torch_dtype bfloat16, float16 or float32."
                      : "--torch_dtype cannot be '%s': choose float32, bfloat16 or float16.")
                  .formatted(chosen));
    };
  }
}
