package io.panatron.runtime.train;

import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.optim.MemoryPlan;
import io.panatron.runtime.parallel.RankContext;
import java.util.Locale;
import java.util.function.Consumer;

/** Says what a run is about to do. */
final class RunHeader {
  private static final double MIB = 1 << 20;

  private RunHeader() {}

  static void print(
      Consumer<String> say, TrainingConfig config, RankContext rank, RunInputs inputs) {
    ModelConfig model = inputs.model();
    TrainingConfig.Batches batches = config.batches();
    say.accept("Device            " + rank.backend().device().describe());
    say.accept(
        String.format(
            Locale.ROOT,
            "Model             %s, %,d parameters: %d layers, hidden %d, heads %d:%d of %d, ffn %d,"
                + " vocabulary %d, %s",
            model.family().architecture(),
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
            config.arguments().text("loss_scale")));
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
    say.accept("Parallel layout   1 rank: tensor 1, context 1, data 1, pipeline 1");
    MemoryPlan plan = MemoryPlan.of(ModelBuilder.specs(model), inputs.dtype(), config.optimizer());
    say.accept(
        String.format(
            Locale.ROOT, "Memory plan       %.1f MiB for the whole run:", plan.bytes() / MIB));
    plan.summary().forEach(line -> say.accept("  " + line));
    if (config.printMemoryPlan()) {
      plan.table().forEach(line -> say.accept("  " + line));
    }
  }
}
