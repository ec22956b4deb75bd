package io.panatron.runtime.train;

import io.panatron.runtime.model.HeadKind;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.optim.MemoryPlan;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Says what a run is about to do. */
final class RunHeader {
  private static final double MIB = 1 << 20;

  private RunHeader() {}

  static void print(
      Consumer<String> say,
      TrainingConfig config,
      RankContext rank,
      RunInputs inputs,
      SaveSchedule saves) {
    ModelConfig model = inputs.model();
    TrainingConfig.Batches batches = config.batches();
    say.accept("Device            " + rank.backend().device().describe());
    say.accept(
        String.format(
            Locale.ROOT,
            "Model             %s, %,d parameters: %d layers, hidden %d, heads %d:%d of %d, ffn %d,"
                + " vocabulary %d, %s",
            architecture(model),
            ParameterLayout.parameterCount(model),
            model.numLayers(),
            model.hiddenSize(),
            model.numHeads(),
            model.numKeyValueHeads(),
            model.headDim(),
            model.intermediateSize(),
            model.vocabSize(),
            inputs.dtype()));
    say.accept(
        String.format(
            Locale.ROOT,
            "Data              %s training and %,d validation %s of at most %,d tokens, template"
                + " %s, loss on %s",
            inputs.data().isStreamed()
                ? "streamed"
                : String.format(Locale.ROOT, "%,d", inputs.data().training().size()),
            inputs.data().validation().size(),
            config.data().rows().reading().packing() == null ? "samples" : "packs of samples",
            inputs.positions(),
            inputs.template().description(),
            inputs.task().rows() == null
                ? config.arguments().text("loss_scale")
                    + (config.arguments().flag("enable_dft_loss") ? " by DFT" : "")
                : "sequences"));
    if (inputs.task().rows() != null) {
      say.accept("Task              " + inputs.task().describe());
    }
    if (!inputs.vocabulary().isNone()) {
      say.accept("New tokens        " + inputs.vocabulary().describe());
    }
    inputs.data().notes().forEach(say);
    inputs.data().dropped().describe().forEach(say);
    say.accept(
        String.format(
            Locale.ROOT,
            "Training          %,d iterations of %d samples in micro-batches of %d, %s",
            inputs.plan().trainIters(),
            batches.globalBatchSize(),
            batches.microBatchSize(),
            config.data().paddingFree() ? "packed without padding" : "padded"));
    if (!config.dropout().areZero()) {
      say.accept(
          "Dropout           hidden %s, attention %s"
              .formatted(config.dropout().hidden(), config.dropout().attention()));
    }
    TrainingConfig.Checkpoints saving = config.checkpoints();
    boolean inBackground = saving.asyncSave() != null;
    saves.describe(config.arguments(), saving.perEpoch(), inBackground).forEach(say);
    ParallelSizes sizes = rank.sizes();
    say.accept("Parallel layout   " + describe(sizes));
    TensorParallel parallel = planned(sizes);
    MemoryPlan plan =
        MemoryPlan.of(ModelBuilder.specs(model, parallel), inputs.dtype(), config.optimizer());
    say.accept(
        String.format(
            Locale.ROOT,
            "Memory plan       %.1f MiB for the whole run%s:",
            plan.bytes() / MIB,
            ofEachRank(sizes)));
    plan.summary().forEach(line -> say.accept("  " + line));
    if (inBackground) {
      say.accept(
          String.format(
              Locale.ROOT,
              "  and %.1f MiB to copy a checkpoint to, twice that where two saves overlap",
              plan.savedBytes(saving.saveOptimizer()) / MIB));
    }
    printActivations(say, config, inputs, sizes);
    if (config.printMemoryPlan()) {
      plan.table().forEach(line -> say.accept("  " + line));
    }
  }

  private static String architecture(ModelConfig model) {
    return switch (model.output()) {
      case HeadKind.Vocabulary head -> model.family().architecture();
      case HeadKind.Scores head -> model.family().classifierArchitecture();
      case HeadKind.None head -> model.family().baseArchitecture();
    };
  }

  private static void printActivations(
      Consumer<String> say, TrainingConfig config, RunInputs inputs, ParallelSizes sizes) {
    int sequences = config.batches().microBatchSize() * inputs.task().sequences();
    int[] starts = ActivationPlan.equalSequences(sequences, inputs.positions());
    RecomputePlan recompute = inputs.recompute();
    say.accept(
        String.format(
            Locale.ROOT,
            "Activations       %s%s for a micro-batch of %d x %,d tokens, %s",
            planned(inputs, recompute, planned(sizes), starts),
            ofEachRank(sizes),
            sequences,
            inputs.positions(),
            recompute.describe()));
    if (!recompute.equals(RecomputePlan.NONE)) {
      say.accept(
          "                  %s without recomputation"
              .formatted(planned(inputs, RecomputePlan.NONE, planned(sizes), starts)));
    }
  }

  private static String planned(
      RunInputs inputs, RecomputePlan recompute, TensorParallel parallel, int[] starts) {
    ActivationPlan plan =
        ActivationPlan.of(
            inputs.model(), inputs.dtype(), recompute, parallel, starts, inputs.task().objective());
    return String.format(
        Locale.ROOT,
        "at most %.1f MiB (%.1f MiB kept for backward)",
        plan.peakBytes() / MIB,
        plan.keptBytes() / MIB);
  }

  private static String describe(ParallelSizes sizes) {
    return String.format(
        Locale.ROOT,
        "%d %s: tensor %d%s, context %d, data %d, pipeline %d",
        sizes.world(),
        sizes.world() == 1 ? "rank" : "ranks",
        sizes.tensor(),
        sizes.sequenceParallel() ? " with sequence parallelism" : "",
        sizes.context(),
        sizes.data(),
        sizes.pipeline());
  }

  /** The first rank's part; the others differ by a row of the vocabulary at most. */
  private static TensorParallel planned(ParallelSizes sizes) {
    return TensorParallel.planned(0, sizes.tensor(), sizes.sequenceParallel());
  }

  private static String ofEachRank(ParallelSizes sizes) {
    return sizes.world() == 1 ? "" : " of each rank";
  }

  /** Says what the plan of activations was worth. */
  static void printActivationPeak(
      Consumer<String> say,
      RunInputs inputs,
      ParallelSizes sizes,
      Passes.@Nullable ActivationPeak peak) {
    if (peak == null) {
      return;
    }
    int[] starts = peak.sequenceStarts();
    ActivationPlan plan =
        ActivationPlan.of(
            inputs.model(),
            inputs.dtype(),
            inputs.recompute(),
            planned(sizes),
            starts,
            inputs.task().objective());
    say.accept(
        String.format(
            Locale.ROOT,
            "Activations       %.1f MiB were taken by the largest micro-batch (%,d tokens), of which"
                + " %.1f MiB were planned and the rest is scratch memory of kernels",
            peak.bytes() / MIB,
            starts[starts.length - 1],
            plan.peakBytes() / MIB));
  }
}
