package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.SharedGradients;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.tensor.HostTransfer;
import io.panatron.runtime.train.TrainStep;
import io.panatron.tests.parallel.RankDevices;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random models of every family on two ranks: fused, separate and transposed tensors come to the
 * ranks that need them, and logits and losses of training are those of transformers.
 */
class TensorParallelFamiliesTest {
  /** Transformers computes norms, cosines and sines in float32 even in a float64 model. */
  private static final double LOGIT = 1e-5;

  /** As in {@link WindowAndRopeTest}. */
  private static final double LOSS = 1e-5;

  @TempDir Path folder;

  private record Case(String folder, JsonNode fixture, boolean sequence) {
    @Override
    public String toString() {
      return fixture.get("name").asText() + (sequence ? ", tokens shared" : "");
    }
  }

  static List<Case> cases() throws IOException {
    List<Case> cases = new ArrayList<>();
    for (String folder : List.of("attention", "families")) {
      try (InputStream in = resource(folder, "cases.json")) {
        for (JsonNode fixture : new ObjectMapper().readTree(in).get("cases")) {
          cases.add(new Case(folder, fixture, cases.size() % 2 == 0));
        }
      }
    }
    return cases;
  }

  private static InputStream resource(String folder, String name) {
    return Objects.requireNonNull(
        TensorParallelFamiliesTest.class.getResourceAsStream("/golden/" + folder + "/" + name),
        name);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void logitsAndTrainingAreThoseOfTransformers(Case example) throws IOException {
    Files.writeString(folder.resolve("config.json"), example.fixture.get("config").toString());
    String file = example.fixture.get("weights").asText() + ".safetensors";
    try (InputStream weights = resource(example.folder, file)) {
      Files.copy(weights, folder.resolve("model.safetensors"));
    }
    ParallelSizes sizes =
        ParallelSizes.ofWorld(2).tensor(2).sequenceParallel(example.sequence).build();
    List<Boolean> checked =
        RankDevices.REFERENCE.run(
            sizes,
            rank -> {
              check(rank, example.fixture);
              return true;
            });
    assertThat(checked).containsExactly(true, true);
  }

  private void check(RankContext rank, JsonNode fixture) {
    try (LoadedModel model =
        LoadedModel.open(rank, folder, new LoadedModel.Options(DType.F64, true, 64, 42, true))) {
      MicroBatch batch = batch(fixture.get("sequences"));
      double[] logits = logits(rank, model, batch);
      int next = 0;
      for (JsonNode sequence : fixture.get("logits")) {
        for (JsonNode row : sequence) {
          for (JsonNode value : row) {
            assertThat(logits[next++]).isCloseTo(value.asDouble(), within(LOGIT));
          }
        }
      }
      assertThat(next).isPositive();
      Optimizer optimizer =
          new Optimizer(
              rank.backend(),
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store(),
              SharedGradients.of(rank, model.store()));
      TrainStep step = new TrainStep(rank, model.network(), optimizer, true, true);
      int iteration = 0;
      for (JsonNode loss : fixture.get("losses")) {
        double actual = step.run(iteration + 1, List.of(batch), 1e-2).loss();
        assertThat(actual)
            .as("loss of step %d", iteration)
            .isCloseTo(loss.asDouble(), within(LOSS * loss.asDouble()));
        iteration++;
      }
      assertThat(iteration).isPositive();
    }
  }

  private static double[] logits(RankContext rank, LoadedModel model, MicroBatch given) {
    Device device = rank.backend().device();
    MicroBatch batch = given.filledTo(model.network().tokenMultiple());
    try (MemoryScope scope = rank.memory().scope("logits", true)) {
      Tensor logits =
          model
              .network()
              .logits(
                  Tape.inference(rank.backend(), scope),
                  HostTransfer.upload(device, scope, "ids", batch.tokens()),
                  HostTransfer.upload(device, scope, "positions", batch.positions()),
                  AttentionLayout.packed(batch.sequenceStarts()));
      return HostTransfer.download(device, logits);
    }
  }

  private static MicroBatch batch(JsonNode sequences) {
    List<int[]> all = new ArrayList<>();
    sequences.forEach(sequence -> all.add(Golden.ints(sequence)));
    int[] starts = new int[all.size() + 1];
    for (int s = 0; s < all.size(); s++) {
      starts[s + 1] = starts[s] + all.get(s).length;
    }
    int total = starts[all.size()];
    int[] tokens = new int[total];
    int[] positions = new int[total];
    int[] labels = new int[total];
    float[] weights = new float[total];
    for (int s = 0; s < all.size(); s++) {
      int[] ids = all.get(s);
      for (int i = 0; i < ids.length; i++) {
        boolean last = i + 1 == ids.length;
        tokens[starts[s] + i] = ids[i];
        positions[starts[s] + i] = i;
        labels[starts[s] + i] = last ? MicroBatch.NO_LABEL : ids[i + 1];
        weights[starts[s] + i] = last ? 0 : 1;
      }
    }
    return new MicroBatch(
        tokens, positions, labels, weights, starts, total - all.size(), new int[all.size()]);
  }
}
