package io.panatron.tests.golden;

import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.TemplateOptions;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;

/** The rows of a fixture for runs of several ranks. */
final class ParallelGolden {
  private ParallelGolden() {}

  /** Micro-batches of one row, in file order, wrapping. */
  static List<MicroBatch> microBatches(Golden golden, int count) {
    try (HfTokenizer tokenizer = HfTokenizer.open(golden.model());
        DataPipeline data =
            DataPipeline.open(
                GoldenCase.dataSettings(golden.rows()),
                tokenizer,
                ChatTemplates.choose(
                    TemplateOptions.DEFAULT.withTemplate("chatml"),
                    tokenizer,
                    "llama",
                    ZonedDateTime.now()));
        BatchSource source = GoldenCase.inFileOrder(data, tokenizer)) {
      List<MicroBatch> batches = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        batches.add(source.next());
      }
      return batches;
    }
  }
}
