package io.panatron.tests.golden;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.data.BatchSampler;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.DataSettings;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.LossScale;
import io.panatron.runtime.data.Reading;
import io.panatron.runtime.data.Truncation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** A fixture on a backend. */
record GoldenCase(Golden fixture, String backendName, DType dtype, Supplier<Backend> backend) {

  static List<GoldenCase> all() {
    List<GoldenCase> cases = new ArrayList<>();
    for (String name : List.of("qwen2", "qwen3", "llama3", "gpt2")) {
      Golden fixture = Golden.open(name);
      cases.add(new GoldenCase(fixture, "reference", DType.F64, Backends::reference));
      cases.add(new GoldenCase(fixture, "reference", DType.F32, Backends::reference));
      cases.add(new GoldenCase(fixture, "cpu", DType.F32, () -> Backends.cpu(2, System.getenv())));
    }
    return cases;
  }

  Backend openBackend() {
    return backend.get();
  }

  static DataSettings dataSettings(Path rows) {
    return new DataSettings(
        false,
        List.of(rows.toString()),
        List.of(),
        0,
        42,
        false,
        false,
        null,
        null,
        Truncation.DELETE,
        LossScale.parse("default"),
        true,
        Reading.DEFAULT);
  }

  /** Micro-batches of one row, in file order, wrapping. */
  static BatchSource inFileOrder(DataPipeline data, HfTokenizer tokenizer) {
    BatchSampler sampler =
        BatchSampler.of(
            new BatchSampler.Shape(data.training().size(), 1, 0, 1), true, false, false);
    return BatchSource.training(
        data.training(),
        sampler,
        new BatchSource.Settings(true, tokenizer.padId().orElse(0), 1, 2),
        0);
  }

  @Override
  public String toString() {
    return fixture.name() + " on " + backendName + " in " + dtype;
  }
}
