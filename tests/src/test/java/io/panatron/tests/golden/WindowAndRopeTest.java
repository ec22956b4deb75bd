package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.generate.GenerationSettings;
import io.panatron.runtime.generate.Generator;
import io.panatron.runtime.generate.TokenListener;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random models of every family, with sliding windows, scaled and partial rotary positions, whose
 * logits, losses and greedy continuations transformers computed. Sequences of a case are packed
 * into one micro-batch.
 */
class WindowAndRopeTest {
  /** Transformers computes norms, cosines and sines in float32 even in a float64 model. */
  private static final double LOGIT_F64 = 1e-5;

  /** Logits of size 10 behind weights of deviation 0.3: rounding moves them by about 1e-5. */
  private static final double LOGIT_F32 = 2e-4;

  /**
   * The first update has the size of the rate and the sign of each gradient, however small: what
   * rounds a gradient through zero moves the next loss by up to 1e-5 of it.
   */
  private static final double LOSS_F64 = 1e-5;

  /** As before, with float32's rounding of every gradient. */
  private static final double LOSS_F32 = 1e-3;

  private record Place(String name, DType dtype, Supplier<Backend> backend) {}

  private record Case(Place place, String folder, JsonNode fixture) {
    boolean exact() {
      return place.dtype == DType.F64;
    }

    @Override
    public String toString() {
      return fixture.get("name").asText() + " on " + place.name + " in " + place.dtype;
    }
  }

  @TempDir Path folder;

  static List<Case> cases() throws IOException {
    List<Place> places =
        List.of(
            new Place("reference", DType.F64, Backends::reference),
            new Place("cpu", DType.F32, () -> Backends.cpu(2, System.getenv())));
    List<Case> cases = new ArrayList<>();
    for (String folder : List.of("attention", "families")) {
      try (InputStream in = resource(folder, "cases.json")) {
        for (JsonNode fixture : new ObjectMapper().readTree(in).get("cases")) {
          for (Place place : places) {
            cases.add(new Case(place, folder, fixture));
          }
        }
      }
    }
    return cases;
  }

  private static InputStream resource(String folder, String name) {
    return Objects.requireNonNull(
        WindowAndRopeTest.class.getResourceAsStream("/golden/" + folder + "/" + name), name);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void logitsTrainingAndGenerationAreThoseOfTransformers(Case example) throws IOException {
    Files.writeString(folder.resolve("config.json"), example.fixture.get("config").toString());
    String file = example.fixture.get("weights").asText() + ".safetensors";
    try (InputStream weights = resource(example.folder, file)) {
      Files.copy(weights, folder.resolve("model.safetensors"));
    }
    Backend backend = example.place.backend.get();
    MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
    try (RankContext rank = RankContext.single(backend, pool);
        LoadedModel model =
            LoadedModel.open(
                rank, folder, new LoadedModel.Options(example.place.dtype, true, 64, 42, true))) {
      MicroBatch batch = batch(example.fixture.get("sequences"));
      checkLogits(example, rank, model, batch);
      int[] prompt = Golden.ints(example.fixture.get("prompt"));
      int[] expected = Golden.ints(example.fixture.get("greedy"));
      assertThat(
              new Generator(rank, model.config(), model.network())
                  .generate(
                      List.of(prompt),
                      GenerationSettings.greedy(expected.length, Set.of(), 4),
                      TokenListener.NONE)
                  .getFirst()
                  .tokens())
          .isEqualTo(expected);
      checkTraining(example, rank, model, batch);
    }
  }

  private static void checkLogits(
      Case example, RankContext rank, LoadedModel model, MicroBatch batch) {
    double[] actual = logits(rank, model, batch);
    int next = 0;
    double worst = 0;
    for (JsonNode sequence : example.fixture.get("logits")) {
      for (JsonNode row : sequence) {
        for (JsonNode value : row) {
          worst = Math.max(worst, Math.abs(actual[next++] - value.asDouble()));
        }
      }
    }
    assertThat(next).isEqualTo(actual.length);
    assertThat(worst)
        .as("largest difference of a logit")
        .isLessThan(example.exact() ? LOGIT_F64 : LOGIT_F32);
  }

  private static double[] logits(RankContext rank, LoadedModel model, MicroBatch batch) {
    Device device = rank.backend().device();
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

  private static void checkTraining(
      Case example, RankContext rank, LoadedModel model, MicroBatch batch) {
    Optimizer optimizer =
        new Optimizer(
            rank.backend(),
            model.run(),
            new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0, 1.0, 0.9, 0.95, 1e-8, 0.9),
            model.store());
    TrainStep step = new TrainStep(rank, model.network(), optimizer, true, true);
    int iteration = 0;
    for (JsonNode loss : example.fixture.get("losses")) {
      StepResult result = step.run(iteration + 1, List.of(batch), 1e-2);
      double tolerance = example.exact() ? LOSS_F64 : LOSS_F32;
      assertThat(result.loss())
          .as("loss of step " + iteration)
          .isCloseTo(loss.asDouble(), within(tolerance * loss.asDouble()));
      if (iteration == 0) {
        double norm = example.fixture.get("grad_norms").get(0).asDouble();
        assertThat(result.gradientNorm()).isCloseTo(norm, within(10 * tolerance * norm));
      }
      iteration++;
    }
  }

  private static MicroBatch batch(JsonNode sequences) {
    int total = 0;
    int[] starts = new int[sequences.size() + 1];
    for (int s = 0; s < sequences.size(); s++) {
      total += sequences.get(s).size();
      starts[s + 1] = total;
    }
    int[] tokens = new int[total];
    int[] positions = new int[total];
    int[] labels = new int[total];
    float[] weights = new float[total];
    int[] samples = new int[sequences.size()];
    for (int s = 0; s < sequences.size(); s++) {
      int[] ids = Golden.ints(sequences.get(s));
      samples[s] = s;
      for (int i = 0; i < ids.length; i++) {
        boolean last = i + 1 == ids.length;
        tokens[starts[s] + i] = ids[i];
        positions[starts[s] + i] = i;
        labels[starts[s] + i] = last ? MicroBatch.NO_LABEL : ids[i + 1];
        weights[starts[s] + i] = last ? 0 : 1;
      }
    }
    return new MicroBatch(
        tokens, positions, labels, weights, starts, total - sequences.size(), samples);
  }
}
