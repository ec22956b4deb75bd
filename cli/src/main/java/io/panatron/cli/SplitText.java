package io.panatron.cli;

import io.panatron.runtime.parallel.pipeline.PipelineSplit;
import io.panatron.runtime.parallel.pipeline.PipelineSplit.Stage;
import java.util.ArrayList;
import java.util.List;

/** Which stage holds which layers, in words. */
final class SplitText {
  private SplitText() {}

  /** One line for each stage. */
  static List<String> lines(PipelineSplit split) {
    List<String> lines = new ArrayList<>();
    for (int rank = 0; rank < split.pipeline(); rank++) {
      StringBuilder line = new StringBuilder("stage %d holds".formatted(rank));
      for (int chunk = 0; chunk < split.chunks(); chunk++) {
        line.append(chunk == 0 ? " " : " | ").append(stage(split.stage(rank, chunk)));
      }
      lines.add(line.toString());
    }
    return lines;
  }

  private static String stage(Stage stage) {
    List<String> parts = new ArrayList<>();
    if (stage.embedding()) {
      parts.add("embedding");
    }
    if (stage.layers() == 1) {
      parts.add("layer " + stage.firstLayer());
    } else if (stage.layers() > 1) {
      parts.add("layers %d-%d".formatted(stage.firstLayer(), stage.endLayer() - 1));
    }
    if (stage.mtpLayers() > 0) {
      parts.add("%d MTP".formatted(stage.mtpLayers()));
    }
    if (stage.loss()) {
      parts.add("loss");
    }
    return parts.isEmpty() ? "nothing" : String.join(", ", parts);
  }
}
