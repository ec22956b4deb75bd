package io.panatron.runtime.quickstart;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How much the quickstart trains, and how.
 *
 * @param model the model's shape
 * @param additions training rows of {@link Task#ADDITION}, the task that takes longest to learn
 * @param others training rows of each other task
 * @param heldOutRows held-out rows of each task
 * @param batchSize rows of one iteration, in one micro-batch
 * @param iterations optimizer steps
 * @param warmupIterations steps of linear warm-up
 * @param learningRate at its peak; it falls to zero along a cosine
 */
public record QuickstartRecipe(
    QuickstartModel model,
    int additions,
    int others,
    int heldOutRows,
    int batchSize,
    int iterations,
    int warmupIterations,
    double learningRate) {

  /**
   * The recipe of {@code trainer quickstart}: less of anything leaves additions unlearned with some
   * seeds.
   */
  public static QuickstartRecipe standard() {
    return new QuickstartRecipe(
        new QuickstartModel(128, 384, 2, 4, 2, 32), 7_000, 2_000, 100, 64, 1_200, 50, 3e-3);
  }

  /**
   * The arguments of {@code trainer} that train the model.
   *
   * @param threads {@code --threads}; null leaves it out
   */
  public List<String> arguments(
      Path modelFolder,
      Path train,
      Path save,
      long seed,
      String device,
      @Nullable Integer threads) {
    List<String> arguments = new ArrayList<>(List.of("sft"));
    add(arguments, "model", modelFolder);
    add(arguments, "dataset", train);
    add(arguments, "save", save);
    add(arguments, "add_version", false);
    add(arguments, "template", "chatml");
    add(arguments, "torch_dtype", "float32");
    add(arguments, "max_length", 64);
    add(arguments, "micro_batch_size", batchSize);
    add(arguments, "global_batch_size", batchSize);
    add(arguments, "train_iters", iterations);
    add(arguments, "lr", learningRate);
    add(arguments, "lr_warmup_iters", warmupIterations);
    add(arguments, "log_interval", Math.max(1, iterations / 24));
    add(arguments, "save_interval", iterations);
    add(arguments, "seed", seed);
    add(arguments, "device", device);
    if (threads != null) {
      add(arguments, "threads", threads);
    }
    return arguments;
  }

  private static void add(List<String> arguments, String name, Object value) {
    arguments.add("--" + name);
    arguments.add(value.toString());
  }
}
