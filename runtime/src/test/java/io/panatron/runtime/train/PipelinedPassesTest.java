package io.panatron.runtime.train;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Network;
import io.panatron.kernels.backends.Backends;
import io.panatron.kernels.backends.Networks;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelStage;
import io.panatron.runtime.model.RotaryTables;
import io.panatron.runtime.model.StagePart;
import io.panatron.runtime.model.WeightInitializer;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputeModule;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.parallel.LocalRanks;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.task.Measures;
import io.panatron.runtime.tensor.HostTransfer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** A pipeline computes what one rank computes. */
class PipelinedPassesTest {
  private static final double EXACT = 1e-12;

  /** What came out of the passes of one iteration. */
  private record Outcome(Map<Integer, double[]> losses, Map<String, double[]> gradients) {}

  @Property(tries = 40)
  void stagesGiveTheLossesAndGradientsOfOneRank(
      @ForAll @IntRange(min = 2, max = 4) int pipeline,
      @ForAll @IntRange(min = 1, max = 3) int chunks,
      @ForAll @IntRange(min = 1, max = 3) int rounds,
      @ForAll boolean gpt2,
      @ForAll boolean dropout,
      @ForAll boolean recompute,
      @ForAll long seed) {
    Random random = new Random(seed);
    List<StagePart> parts = new ArrayList<>();
    int layers = 0;
    for (int stage = 0; stage < pipeline * chunks; stage++) {
      int here = random.nextInt(3);
      parts.add(new StagePart(layers, here, stage == 0, stage == pipeline * chunks - 1));
      layers += here;
    }
    if (layers == 0) {
      return;
    }
    ModelConfig config = config(gpt2, layers, random.nextBoolean());
    // Without interleaving any number of micro-batches will do, fewer than stages included.
    int count = chunks == 1 ? 1 + random.nextInt(6) : pipeline * rounds;
    List<MicroBatch> batches = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      batches.add(microBatch(random, config.vocabSize()));
    }
    DropoutRates rates = dropout ? new DropoutRates(0.2, 0.1) : DropoutRates.NONE;
    RecomputePlan plan =
        recompute
            ? RecomputePlan.selective(Set.of(RecomputeModule.MLP, RecomputeModule.LAYERNORM))
            : RecomputePlan.NONE;

    Outcome alone =
        run(1, List.of(StagePart.whole(config)), config, batches, rates, plan).getFirst();
    Map<Integer, double[]> losses = new TreeMap<>();
    Map<String, double[]> gradients = new TreeMap<>();
    for (Outcome outcome : run(pipeline, parts, config, batches, rates, plan)) {
      losses.putAll(outcome.losses());
      outcome.gradients().forEach((name, part) -> gradients.merge(name, part, this::plus));
    }

    assertThat(losses.keySet()).isEqualTo(alone.losses().keySet());
    losses.forEach((i, values) -> assertNear(values, alone.losses().get(i), "losses " + i));
    assertThat(gradients.keySet()).isEqualTo(alone.gradients().keySet());
    gradients.forEach((name, values) -> assertNear(values, alone.gradients().get(name), name));
  }

  private static List<Outcome> run(
      int pipeline,
      List<StagePart> parts,
      ModelConfig config,
      List<MicroBatch> batches,
      DropoutRates rates,
      RecomputePlan plan) {
    ParallelSizes sizes = ParallelSizes.ofWorld(pipeline).pipeline(pipeline).build();
    Network network = Networks.local(pipeline, new Network.Settings(Duration.ofSeconds(30), true));
    return new LocalRanks(sizes, network, new ReferenceDevices(), Duration.ofSeconds(10))
        .run(rank -> outcome(rank, pipeline, parts, config, batches, rates, plan));
  }

  private static Outcome outcome(
      RankContext rank,
      int pipeline,
      List<StagePart> parts,
      ModelConfig config,
      List<MicroBatch> batches,
      DropoutRates rates,
      RecomputePlan plan) {
    List<StagePart> mine = new ArrayList<>();
    for (int stage = rank.rank(); stage < parts.size(); stage += pipeline) {
      mine.add(parts.get(stage));
    }
    Backend backend = rank.backend();
    try (MemoryScope run = rank.memory().scope("run", true)) {
      ParameterStore store =
          new ParameterStore(backend, run, ModelBuilder.specs(config, mine), DType.F64, true);
      new WeightInitializer(backend, config, 5).initialize(store, run);
      RotaryTables rotary = ModelBuilder.rotary(backend.device(), run, config, 64, DType.F64);
      List<ModelStage> stages =
          mine.stream()
              .map(part -> ModelBuilder.stage(config, store, rotary, part).recomputing(plan))
              .toList();
      PipelinedPasses passes =
          new PipelinedPasses(
              rank,
              stages,
              null,
              TokenLoss.CROSS_ENTROPY,
              new DropoutStreams(rates, 7, rank.coordinates()),
              true);
      Map<Integer, double[]> losses = new TreeMap<>();
      passes.run(
          1,
          batches,
          new Passes.LossFunction() {
            @Override
            public double[] gradients(MicroBatch batch) {
              double[] gradients = new double[batch.length()];
              for (int t = 0; t < gradients.length; t++) {
                gradients[t] = batch.lossWeights()[t] * (1 + 0.1 * t);
              }
              return gradients;
            }

            @Override
            public void take(int index, MicroBatch batch, double[] crossEntropies) {
              losses.put(index, crossEntropies);
            }

            @Override
            public double sequenceGradient() {
              throw new AssertionError("the losses are those of tokens");
            }

            @Override
            public void take(int index, double value, Measures measures) {
              throw new AssertionError("the losses are those of tokens");
            }
          });
      Map<String, double[]> gradients = new TreeMap<>();
      for (Parameter parameter : store.all()) {
        gradients.put(
            parameter.name(), HostTransfer.download(backend.device(), parameter.trainedGradient()));
      }
      return new Outcome(losses, gradients);
    }
  }

  private static MicroBatch microBatch(Random random, int vocabulary) {
    int sequences = 1 + random.nextInt(3);
    int[] starts = new int[sequences + 1];
    for (int s = 0; s < sequences; s++) {
      starts[s + 1] = starts[s] + 1 + random.nextInt(7);
    }
    int length = starts[sequences];
    int[] tokens = new int[length];
    int[] positions = new int[length];
    int[] labels = new int[length];
    float[] weights = new float[length];
    int targets = 0;
    for (int s = 0; s < sequences; s++) {
      for (int t = starts[s]; t < starts[s + 1]; t++) {
        tokens[t] = random.nextInt(vocabulary);
        positions[t] = t - starts[s];
        boolean target = random.nextInt(4) > 0;
        labels[t] = target ? random.nextInt(vocabulary) : MicroBatch.NO_LABEL;
        weights[t] = target ? 1 : 0;
        targets += target ? 1 : 0;
      }
    }
    return new MicroBatch(tokens, positions, labels, weights, starts, targets, new int[sequences]);
  }

  private static ModelConfig config(boolean gpt2, int layers, boolean tied) {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("vocab_size", 23).put("initializer_range", 0.3).put("tie_word_embeddings", tied);
    if (gpt2) {
      json.put("model_type", "gpt2").putArray("architectures").add("GPT2LMHeadModel");
      json.put("n_embd", 8).put("n_layer", layers).put("n_head", 2).put("n_positions", 64);
      json.put("activation_function", "gelu_new").put("layer_norm_epsilon", 1e-5);
      json.put("attn_pdrop", 0).put("embd_pdrop", 0).put("resid_pdrop", 0);
    } else {
      json.put("model_type", "qwen3").putArray("architectures").add("Qwen3ForCausalLM");
      json.put("hidden_size", 8).put("intermediate_size", 12).put("num_hidden_layers", layers);
      json.put("num_attention_heads", 2).put("num_key_value_heads", 1).put("head_dim", 4);
      json.put("hidden_act", "silu").put("attention_bias", false).put("rms_norm_eps", 1e-6);
      json.put("max_position_embeddings", 64).put("rope_theta", 10_000.0);
    }
    try {
      Path file = Files.createTempFile("config", ".json");
      Files.writeString(file, json.toString());
      ModelConfig config = ModelConfig.read(file);
      Files.delete(file);
      return config;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private double[] plus(double[] a, double[] b) {
    double[] sum = a.clone();
    for (int i = 0; i < sum.length; i++) {
      sum[i] += b[i];
    }
    return sum;
  }

  private static void assertNear(double[] actual, double[] expected, String what) {
    assertThat(actual).as(what).hasSameSizeAs(expected);
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < actual.length; i++) {
      difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
      norm += expected[i] * expected[i];
    }
    assertThat(Math.sqrt(difference)).as(what).isLessThanOrEqualTo(EXACT * Math.sqrt(norm));
  }

  private static final class ReferenceDevices implements LocalRanks.Devices {
    @Override
    public Backend openBackend(int rank) {
      return Backends.reference();
    }

    @Override
    public MemoryPool openMemory(Backend backend) {
      return new MemoryPool(backend.device(), (bytes, reserved) -> {});
    }
  }
}
