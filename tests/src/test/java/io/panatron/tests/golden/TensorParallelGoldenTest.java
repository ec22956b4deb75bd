package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.DType;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.optim.LearningRateSchedule;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.SharedGradients;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import io.panatron.tests.parallel.RankDevices;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Training as PyTorch computed it, on two ranks that share the model's matrices. */
class TensorParallelGoldenTest {
  /** As for one rank: {@link GoldenTest}. */
  private static final double LOSS = 1e-5;

  private static final double GRADIENT_NORM = 1e-4;

  @ParameterizedTest
  @CsvSource({
    "qwen3, REFERENCE, F64, false",
    "qwen3, REFERENCE, F64, true",
    "qwen3, CPU, F32, false",
    "qwen3, CPU, F32, true",
    "llama3, REFERENCE, F64, true",
    "llama3, CPU, F32, false",
    "llama3, CPU, F32, true",
    "qwen2, CPU, F32, true"
  })
  void eightIterationsOfTrainingAreThoseOfPyTorch(
      String name, RankDevices devices, DType dtype, boolean sequence) {
    Golden golden = Golden.open(name);
    List<MicroBatch> rows = ParallelGolden.microBatches(golden, 16);
    ParallelSizes sizes = ParallelSizes.ofWorld(2).tensor(2).sequenceParallel(sequence).build();
    List<List<StepResult>> ranks = devices.run(sizes, rank -> train(rank, golden, dtype, rows));
    int next = 0;
    for (JsonNode expected : golden.at("train_full", "iterations")) {
      for (List<StepResult> steps : ranks) {
        StepResult result = steps.get(next);
        assertRelative("loss", result.loss(), expected.get("loss").asDouble(), LOSS);
        assertRelative(
            "grad_norm",
            result.gradientNorm(),
            expected.get("grad_norm").asDouble(),
            GRADIENT_NORM);
      }
      next++;
    }
    assertThat(next).isEqualTo(8);
  }

  private static List<StepResult> train(
      RankContext rank, Golden golden, DType dtype, List<MicroBatch> rows) {
    try (LoadedModel model =
        LoadedModel.open(
            rank, golden.model(), new LoadedModel.Options(dtype, true, 512, 42, true))) {
      Optimizer optimizer =
          new Optimizer(
              rank.backend(),
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store(),
              SharedGradients.of(rank, model.store()));
      TrainStep step = new TrainStep(rank, model.network(), optimizer, true, true);
      LearningRateSchedule schedule =
          new LearningRateSchedule(LearningRateSchedule.Style.COSINE, 1e-3, 1e-4, 8, 32);
      List<StepResult> results = new ArrayList<>();
      for (int iteration = 0; iteration < 8; iteration++) {
        List<MicroBatch> batch = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          batch.add(rows.get((4 * iteration + i) % rows.size()));
        }
        results.add(step.run(iteration + 1, batch, schedule.rateAt(4L * iteration)));
      }
      return results;
    }
  }

  private static void assertRelative(
      String what, double actual, double expected, double tolerance) {
    assertThat(actual).as(what).isCloseTo(expected, within(tolerance * Math.abs(expected)));
  }
}
