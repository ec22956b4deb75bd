package io.panatron.runtime.export;

import io.panatron.runtime.checkpoint.CheckpointContents;
import io.panatron.runtime.checkpoint.FolderExport;
import io.panatron.runtime.checkpoint.HfModelFolder;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.checkpoint.TrainerState;
import io.panatron.runtime.config.ArgumentsFile;
import io.panatron.runtime.generate.TrainedTemplate;
import io.panatron.runtime.parallel.RankContext;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;

/** One run of {@code trainer export}. */
public final class ExportSession {
  private final ExportConfig config;
  private final Function<String, RankContext> devices;
  private final PrintWriter out;

  /**
   * An export that has not started.
   *
   * @param devices opens a device by the name that {@code --device} has for it; asked only for a
   *     comparison of logits
   * @param out where the user reads
   */
  public ExportSession(
      ExportConfig config, Function<String, RankContext> devices, PrintWriter out) {
    this.config = config;
    this.devices = devices;
    this.out = out;
  }

  /**
   * Converts.
   *
   * @return the folder that now is there
   */
  public Path run() {
    FolderExport export = new FolderExport(config.save(), config.replaces());
    try (Arena arena = Arena.ofShared()) {
      ExportSource source = ExportSource.open(config, arena, this::say);
      export.prepare(source.folder());
      HfModelFolder model =
          new HfModelFolder(
              source.files(),
              source.named(config.dtype()),
              source.tensors(config.dtype()),
              config.maxShardBytes());
      say(
          "Exporting         %s (%s, %d tensors) to %s"
              .formatted(
                  source.folder(),
                  source.config().family().architecture(),
                  model.weights().size(),
                  export.target()));
      Consumer<Path> check = written -> compare(source, written);
      switch (config.direction()) {
        case TO_HF -> export.write(model, check);
        case TO_MCORE -> export.write(atTheStart(model, source.folder()), check);
      }
    }
    return export.target();
  }

  /** A checkpoint of the weights alone, at iteration 0. */
  private CheckpointContents atTheStart(HfModelFolder model, Path source) {
    return new CheckpointContents(
        0,
        model,
        List.of(),
        List.of(),
        TrainerState.ofWeightsAlone(),
        ArgumentsFile.json(TrainedTemplate.of(source).completed(config.arguments())));
  }

  private void compare(ExportSource source, Path written) {
    SafetensorsDtype dtype = config.precisionTest();
    if (dtype == null) {
      return;
    }
    String device = config.arguments().text("device");
    String first = config.sourceDevice().equals("auto") ? device : config.sourceDevice();
    PrecisionTest test = PrecisionTest.of(source.folder(), source.config(), dtype);
    double[] before;
    try (RankContext rank = devices.apply(first)) {
      before = test.logits(rank, source.folder());
    }
    double[] after;
    try (RankContext rank = devices.apply(device)) {
      after = test.logits(rank, written);
    }
    test.report(before, after).forEach(this::say);
  }

  private void say(String line) {
    out.println(line);
    out.flush();
  }
}
