package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.DType;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.StagedModel;
import io.panatron.runtime.optim.DataParallel;
import io.panatron.runtime.optim.LearningRateSchedule;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.SharedGradients;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.pipeline.PipelineLayout;
import io.panatron.runtime.parallel.pipeline.PipelineSplit;
import io.panatron.runtime.parallel.pipeline.SplitOptions;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.train.DropoutStreams;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import io.panatron.tests.parallel.RankDevices;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Training as PyTorch computed it, on the ranks of a pipeline, which may share more than that. */
class PipelineGoldenTest {
  /** As for one rank: {@link GoldenTest}. */
  private static final double LOSS = 1e-5;

  private static final double GRADIENT_NORM = 1e-4;

  private static final int PIPELINE = 2;

  @ParameterizedTest
  @CsvSource({
    "qwen3, REFERENCE, F64, 1, false, 1, Ett|tL",
    "qwen3, CPU, F32, 1, false, 1, Et|ttL",
    "qwen3, CPU, F32, 2, true, 2, Et|ttL",
    "qwen3, REFERENCE, F64, 1, false, 2, Et|t|t|L",
    "llama3, CPU, F32, 1, false, 1, Et|ttL",
    "llama3, CPU, F32, 2, false, 2, Et|ttL",
    "qwen2, CPU, F32, 1, false, 2, E|tttL",
    "gpt2, CPU, F32, 1, false, 2, Ett|tL"
  })
  void eightIterationsOfTrainingAreThoseOfPyTorch(
      String name,
      RankDevices devices,
      DType dtype,
      int tensor,
      boolean sequence,
      int data,
      String layout) {
    Golden golden = Golden.open(name);
    List<MicroBatch> rows = ParallelGolden.microBatches(golden, 16);
    ParallelSizes sizes =
        ParallelSizes.ofWorld(tensor * PIPELINE * data)
            .tensor(tensor)
            .sequenceParallel(sequence)
            .pipeline(PIPELINE)
            .build();
    List<List<StepResult>> ranks =
        devices.run(sizes, rank -> train(rank, golden, dtype, layout, rows));
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
      RankContext rank, Golden golden, DType dtype, String layout, List<MicroBatch> rows) {
    SplitOptions stages =
        new SplitOptions(
            PIPELINE, null, null, false, false, null, null, PipelineLayout.parse(layout));
    PipelineSplit split = PipelineSplit.of(stages, ModelConfig.read(golden.model()).numLayers(), 0);
    LoadedModel.Options options = new LoadedModel.Options(dtype, true, 512, 42, true);
    try (StagedModel model = StagedModel.open(rank, golden.model(), split, options)) {
      DataParallel samples =
          new DataParallel(
              rank.groups().dataContext(),
              model.store(),
              DataParallel.Settings.defaults(rank.groups().dataContext().size()));
      Optimizer optimizer =
          new Optimizer(
              rank.backend(),
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store(),
              SharedGradients.of(rank, model.store(), samples, model.tied()));
      TrainStep step =
          TrainStep.pipelined(
              rank,
              model.stages(),
              null,
              optimizer,
              true,
              true,
              TokenLoss.CROSS_ENTROPY,
              DropoutStreams.NONE);
      LearningRateSchedule schedule =
          new LearningRateSchedule(LearningRateSchedule.Style.COSINE, 1e-3, 1e-4, 8, 32);
      int ranks = rank.coordinates().data().size();
      int place = rank.coordinates().data().index();
      List<StepResult> results = new ArrayList<>();
      for (int iteration = 0; iteration < 8; iteration++) {
        List<MicroBatch> batch = new ArrayList<>();
        for (int i = place; i < 4; i += ranks) {
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
