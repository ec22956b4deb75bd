package io.panatron.runtime.train;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.data.DroppedRows;
import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.observe.LengthStatistics;
import io.panatron.runtime.parallel.RankContext;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;

/**
 * {@code run.json}: what a run is and how far it came, for the report: the command, the device, the
 * model, the data. Written anew as the run goes on.
 */
final class RunFacts {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final ObjectNode root = JSON.createObjectNode();
  private final ObjectNode seen;
  private final StepFigures figures;

  RunFacts(TrainingConfig config, RankContext rank, RunInputs inputs, StepFigures figures) {
    this.figures = figures;
    config.arguments().commandLine().forEach(root.putArray("command")::add);
    root.put("started", Instant.now().toString());
    root.put("device", rank.backend().device().describe());
    ModelConfig model = inputs.model();
    ObjectNode shape = root.putObject("model");
    shape.put("architecture", model.family().architecture());
    shape.put("parameters", ParameterLayout.parameterCount(model));
    shape.put("layers", model.numLayers());
    shape.put("hidden", model.hiddenSize());
    shape.put("vocabulary", model.vocabSize());
    shape.put("dtype", inputs.dtype().toString());
    DroppedRows dropped = inputs.data().dropped();
    ObjectNode data = root.putObject("data");
    data.put("training_samples", inputs.data().training().size());
    data.put("validation_samples", inputs.data().validation().size());
    data.put("longest_allowed", inputs.positions());
    int tooLong = dropped.count(BadRow.Kind.LENGTH);
    data.put("malformed_rows", dropped.total() - tooLong);
    data.put("too_long_rows", tooLong);
    dropped.examples().forEach(data.putArray("reasons")::add);
    seen = root.putObject("seen");
  }

  /** Where the run stands: running, finished, stopped or failed. */
  void status(String status, Progress progress) {
    root.put("status", status);
    root.put("updated", Instant.now().toString());
    root.put("iteration", progress.iteration());
    root.put("consumed_samples", progress.consumedSamples());
    LengthStatistics lengths = figures.lengths();
    seen.removeAll();
    seen.put("sequences", lengths.count());
    seen.put("mean_length", lengths.mean());
    seen.put("shortest", lengths.shortest());
    seen.put("longest", lengths.longest());
    var histogram = seen.putArray("lengths");
    for (LengthStatistics.LengthClass lengthClass : lengths.histogram()) {
      histogram.addObject().put("up_to", lengthClass.upTo()).put("count", lengthClass.count());
    }
  }

  /** Writes the file to the side and renames it, so that a reader never sees half of it. */
  void write(Path runFolder) throws IOException {
    Path side = runFolder.resolve(".run.json.tmp");
    Files.writeString(side, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n");
    Files.move(side, runFolder.resolve("run.json"), StandardCopyOption.ATOMIC_MOVE);
  }
}
