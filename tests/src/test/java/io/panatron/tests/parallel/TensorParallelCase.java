package io.panatron.tests.parallel;

import io.panatron.kernels.Activation;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.checkpoint.SafetensorsWriter;
import io.panatron.runtime.checkpoint.TensorSource;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelFamily;
import io.panatron.runtime.model.SlidingWindow;
import io.panatron.runtime.model.VocabularyGrowth;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.nn.MlpActivation;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.SharedGradients;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.tensor.HostTransfer;
import io.panatron.runtime.train.DropoutStreams;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.random.RandomGenerator;

/**
 * A small model, two packed micro-batches, and how they are trained: computed on one rank or on
 * several.
 *
 * @param seed of the weights and of the batches
 */
record TensorParallelCase(
    ModelConfig config,
    DType dtype,
    RankDevices devices,
    TokenLoss loss,
    DropoutRates dropout,
    RecomputePlan recompute,
    long seed) {
  private static final int POSITIONS = 32;

  /** F64, reference, cross-entropy, nothing dropped, nothing recomputed. */
  static TensorParallelCase exact(ModelConfig config, long seed) {
    return new TensorParallelCase(
        config,
        DType.F64,
        RankDevices.REFERENCE,
        TokenLoss.CROSS_ENTROPY,
        DropoutRates.NONE,
        RecomputePlan.NONE,
        seed);
  }

  TensorParallelCase with(TokenLoss other) {
    return new TensorParallelCase(config, dtype, devices, other, dropout, recompute, seed);
  }

  TensorParallelCase with(DropoutRates other) {
    return new TensorParallelCase(config, dtype, devices, loss, other, recompute, seed);
  }

  TensorParallelCase with(RecomputePlan other) {
    return new TensorParallelCase(config, dtype, devices, loss, dropout, other, seed);
  }

  TensorParallelCase on(RankDevices other, DType computed) {
    return new TensorParallelCase(config, computed, other, loss, dropout, recompute, seed);
  }

  /** Sizes of the model, of which the heads and the MLP are multiples of {@code shares}. */
  static ModelConfig config(ModelFamily family, int shares, boolean tied, RandomGenerator random) {
    boolean learned = family == ModelFamily.GPT2;
    int groups = learned ? 1 : 1 + random.nextInt(2);
    int keyHeads = shares * (1 + random.nextInt(2));
    int headDim = 2 * (1 + random.nextInt(4));
    boolean biases = random.nextBoolean() || learned;
    int layers = 1 + random.nextInt(2);
    return new ModelConfig(
        family,
        shares + random.nextInt(30),
        2 * (2 + random.nextInt(6)),
        shares * (1 + random.nextInt(6)),
        layers,
        groups * keyHeads,
        keyHeads,
        headDim,
        POSITIONS,
        1e-5,
        10_000,
        null,
        !learned && random.nextBoolean()
            ? new SlidingWindow(3, Collections.nCopies(layers, true))
            : null,
        tied,
        biases,
        biases,
        biases,
        family == ModelFamily.QWEN3,
        family.gated() ? new MlpActivation.Gated() : new MlpActivation.Plain(Activation.GELU_TANH),
        learned ? 0 : headDim,
        0.4,
        null,
        null,
        List.of(),
        null);
  }

  /**
   * What training came to.
   *
   * @param loaded weights before training, by Hugging Face name
   * @param losses of all tokens of the first batch before training, by evaluation
   * @param logits of all tokens of the first batch before training
   * @param steps loss and gradient norm of each step
   * @param gradients of the first step, by Hugging Face name
   * @param weights after the last step, by Hugging Face name
   */
  record Outcome(
      TreeMap<String, double[]> loaded,
      double[] losses,
      double[] logits,
      List<double[]> steps,
      TreeMap<String, double[]> gradients,
      TreeMap<String, double[]> weights) {}

  /** Saves random weights, biases and norms included, as one rank has them. */
  void save(Path folder) throws IOException {
    try (RankContext rank = single();
        LoadedModel model = open(rank, folder)) {
      RandomGenerator random = new SplittableRandom(seed);
      for (Parameter parameter : model.store().all()) {
        if (parameter.shape().rank() == 1) {
          double[] values = random.doubles(parameter.shape().elements(), 0.5, 1.5).toArray();
          try (MemoryScope scope = rank.memory().scope("values", false)) {
            Tensor drawn =
                HostTransfer.upload(
                    rank.backend().device(), scope, "values", values, dtype.accumulator());
            rank.backend().copy(drawn, parameter.value());
          }
        }
      }
      // A row that the model has but leaves empty, as for tokens to come.
      Tensor table = model.store().parameter("model.embed_tokens.weight").value();
      rank.backend().fill(table.slice(config.vocabSize() - 1, 1), 0);
      WeightTransfer transfer = new WeightTransfer(rank.backend(), config);
      Path file = folder.resolve("model.safetensors");
      write(transfer.sources(model.store(), model.store().values()), file);
    }
  }

  private RankContext single() {
    var backend = devices.openBackend(0);
    return RankContext.single(backend, devices.openMemory(backend));
  }

  LoadedModel open(RankContext rank, Path folder) {
    return LoadedModel.open(
        rank,
        folder,
        config,
        "the test",
        new LoadedModel.Options(dtype, true, POSITIONS, seed, true),
        null);
  }

  /** Trains on the weights of a folder, and leaves there what it gathers under the names' files. */
  Outcome run(Path folder, ParallelSizes sizes) {
    if (sizes.world() == 1) {
      try (RankContext rank = single()) {
        return run(rank, folder);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return devices.run(sizes, rank -> run(rank, folder)).getFirst();
  }

  /** The weights that a folder gives a model with more tokens, by Hugging Face name. */
  TreeMap<String, double[]> grown(Path folder, ParallelSizes sizes, VocabularyGrowth growth)
      throws IOException {
    if (sizes.world() == 1) {
      try (RankContext rank = single()) {
        return grown(rank, folder, growth);
      }
    }
    return devices.run(sizes, rank -> grown(rank, folder, growth)).getFirst();
  }

  private TreeMap<String, double[]> grown(RankContext rank, Path folder, VocabularyGrowth growth)
      throws IOException {
    try (LoadedModel model =
        LoadedModel.open(
            rank,
            folder,
            config,
            "the test",
            new LoadedModel.Options(dtype, false, POSITIONS, seed, true),
            growth)) {
      WeightTransfer transfer =
          new WeightTransfer(rank.backend(), model.config(), model.parallel(), rank.memory());
      return gather(transfer, model, model.store().values(), folder, sizes(rank));
    }
  }

  private Outcome run(RankContext rank, Path folder) throws IOException {
    try (LoadedModel model = open(rank, folder)) {
      List<MicroBatch> batches = batches();
      Optimizer optimizer =
          new Optimizer(
              rank.backend(),
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store(),
              SharedGradients.of(rank, model.store()));
      WeightTransfer transfer =
          new WeightTransfer(rank.backend(), config, model.parallel(), rank.memory());
      TreeMap<String, double[]> loaded =
          gather(transfer, model, model.store().values(), folder, sizes(rank));
      double[] losses = forward(rank, model, batches.getFirst(), true);
      double[] logits = forward(rank, model, batches.getFirst(), false);
      TrainStep step =
          new TrainStep(
              rank,
              model.network().recomputing(recompute),
              optimizer,
              true,
              true,
              loss,
              new DropoutStreams(dropout, seed, rank.coordinates()));
      List<double[]> steps = new ArrayList<>();
      TreeMap<String, double[]> gradients = new TreeMap<>();
      for (int iteration = 0; iteration < 3; iteration++) {
        StepResult result = step.run(iteration + 1, batches, iteration == 0 ? 0 : 1e-3);
        steps.add(new double[] {result.loss(), result.gradientNorm()});
        if (iteration == 0) {
          gradients = gather(transfer, model, model.store().gradients(), folder, sizes(rank));
        }
      }
      TreeMap<String, double[]> weights =
          gather(transfer, model, model.store().values(), folder, sizes(rank));
      return new Outcome(loaded, losses, logits, steps, gradients, weights);
    }
  }

  private static String sizes(RankContext rank) {
    return "gathered by " + rank.sizes().world();
  }

  private static double[] forward(
      RankContext rank, LoadedModel model, MicroBatch drawn, boolean losses) {
    MicroBatch batch = drawn.filledTo(model.network().tokenMultiple());
    var device = rank.backend().device();
    try (MemoryScope scope = rank.memory().scope("forward", true)) {
      Tape tape = Tape.inference(rank.backend(), scope);
      Tensor ids = HostTransfer.upload(device, scope, "ids", batch.tokens());
      Tensor labels = HostTransfer.upload(device, scope, "labels", batch.labels());
      Tensor positions = HostTransfer.upload(device, scope, "positions", batch.positions());
      var layout = AttentionLayout.packed(batch.sequenceStarts());
      Tensor result =
          losses
              ? model.network().losses(tape, ids, labels, positions, layout)
              : model.network().logits(tape, ids, positions, layout);
      double[] all = HostTransfer.download(device, result);
      return Arrays.copyOf(all, all.length / batch.length() * drawn.length());
    }
  }

  /** Brings a flat tensor to the first rank; empty on the others. */
  private static TreeMap<String, double[]> gather(
      WeightTransfer transfer, LoadedModel model, Tensor flat, Path folder, String name)
      throws IOException {
    transfer.beginSaving();
    List<TensorSource> sources = transfer.sources(model.store(), flat);
    TreeMap<String, double[]> values = new TreeMap<>();
    if (!transfer.isWriter()) {
      transfer.serveSaving();
      return values;
    }
    try {
      write(sources, folder.resolve(name));
    } finally {
      transfer.endSaving();
    }
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile.open(folder.resolve(name), arena)
          .tensors()
          .forEach((key, tensor) -> values.put(key, numbers(tensor)));
    }
    return values;
  }

  private static void write(List<TensorSource> sources, Path file) throws IOException {
    Files.deleteIfExists(file);
    try (FileChannel out =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      SafetensorsWriter.write(sources, out);
    }
  }

  private static double[] numbers(SafetensorsTensor tensor) {
    int count = 1;
    for (long extent : tensor.shape()) {
      count *= Math.toIntExact(extent);
    }
    double[] numbers = new double[count];
    for (int i = 0; i < count; i++) {
      numbers[i] =
          switch (tensor.dtype()) {
            case F64 -> tensor.data().get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 8L * i);
            case F32 -> tensor.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
            case BF16 ->
                Float.intBitsToFloat(
                    tensor.data().get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i) << 16);
            default -> throw new IllegalArgumentException(tensor.toString());
          };
    }
    return numbers;
  }

  private List<MicroBatch> batches() {
    RandomGenerator random = new SplittableRandom(seed + 1);
    return List.of(batch(random), batch(random));
  }

  /** A few packed sequences; their tokens need not be a multiple of anything. */
  private MicroBatch batch(RandomGenerator random) {
    int sequences = 1 + random.nextInt(3);
    int[] starts = new int[sequences + 1];
    for (int s = 1; s <= sequences; s++) {
      starts[s] = starts[s - 1] + 1 + random.nextInt(7);
    }
    int tokens = starts[sequences];
    int[] ids = random.ints(tokens, 0, config.vocabSize()).toArray();
    int[] labels = random.ints(tokens, 0, config.vocabSize()).toArray();
    int[] positions = new int[tokens];
    float[] weights = new float[tokens];
    int targets = 0;
    for (int s = 0; s < sequences; s++) {
      for (int t = starts[s]; t < starts[s + 1]; t++) {
        positions[t] = t - starts[s];
        boolean target = t == 0 || random.nextInt(4) > 0;
        labels[t] = target ? labels[t] : MicroBatch.NO_LABEL;
        weights[t] = target ? 0.5f + random.nextFloat() : 0;
        targets += target ? 1 : 0;
      }
    }
    return new MicroBatch(ids, positions, labels, weights, starts, targets, new int[sequences]);
  }
}
