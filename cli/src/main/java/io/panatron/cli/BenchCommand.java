package io.panatron.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.kernels.DType;
import io.panatron.kernels.Network;
import io.panatron.kernels.OutOfDeviceMemoryException;
import io.panatron.runtime.UserError;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.observe.ProcessFigures;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.train.Benchmark;
import io.panatron.runtime.train.RecomputeSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code trainer bench}: times training steps and prints one JSON line. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Time training steps on random tokens; prints one JSON line.")
final class BenchCommand implements Callable<Integer> {
  private static final Duration TIMEOUT = Duration.ofMinutes(10);

  @Spec @Nullable CommandSpec spec;

  @Option(names = "--model", required = true, description = "Model folder; weights optional.")
  Path model = Path.of(".");

  @Option(names = "--seq", defaultValue = "512", description = "Tokens of a sequence.")
  int sequenceLength;

  @Option(names = "--micro", defaultValue = "4", description = "Sequences of a micro-batch.")
  int microBatchSize;

  @Option(names = "--accum", defaultValue = "1", description = "Micro-batches of a step.")
  int accumulation;

  @Option(
      names = "--dtype",
      defaultValue = "float32",
      description =
          "float32, bfloat16 or float16; main parameters and gradients are always float32.")
  String dtype = "float32";

  @Option(names = "--hidden_dropout", defaultValue = "0", description = "As for sft.")
  double hiddenDropout;

  @Option(names = "--attention_dropout", defaultValue = "0", description = "As for sft.")
  double attentionDropout;

  @Option(
      names = "--recompute_granularity",
      defaultValue = "none",
      description = "full, selective or none, as sft knows them.")
  String granularity = "none";

  @Option(names = "--recompute_method", description = "uniform or block, with full.")
  @Nullable String method;

  @Option(names = "--recompute_num_layers", description = "Layers, with full.")
  @Nullable Integer numLayers;

  @Option(
      names = "--recompute_modules",
      arity = "1..*",
      defaultValue = "core_attn",
      description = "core_attn, layernorm, mlp, with selective.")
  List<String> modules = List.of("core_attn");

  @Option(names = "--steps", defaultValue = "6", description = "Timed steps.")
  int steps;

  @Option(names = "--warmup", defaultValue = "2", description = "Steps before the timed ones.")
  int warmup;

  @Option(names = "--threads", description = "CPU threads; all cores by default.")
  @Nullable Integer threads;

  @Option(
      names = "--tensor_model_parallel_size",
      defaultValue = "1",
      description = "Ranks that share each matrix; they divide the threads among them.")
  int tensorParallelSize = 1;

  @Option(
      names = "--sequence_parallel",
      arity = "0..1",
      defaultValue = "false",
      fallbackValue = "true",
      description = "As for sft.")
  boolean sequenceParallel;

  @Option(
      names = "--nproc_per_node",
      description = "Ranks, as for sft; each takes its share of the micro-batches of a step.")
  @Nullable Integer ranks;

  @Option(
      names = "--overlap_grad_reduce",
      arity = "0..1",
      defaultValue = "false",
      fallbackValue = "true",
      description = "As for sft.")
  boolean overlapReduce;

  @Option(
      names = "--use_distributed_optimizer",
      arity = "0..1",
      defaultValue = "true",
      fallbackValue = "true",
      description = "As for sft.")
  boolean distributedOptimizer = true;

  @Option(names = "--device", defaultValue = "auto", description = "auto or cpu.")
  String device = "auto";

  @Override
  public Integer call() throws IOException {
    if (sequenceLength < 2 || microBatchSize < 1 || accumulation < 1 || steps < 1 || warmup < 1) {
      throw new UserError(
          "--seq must be at least 2 and --micro, --accum, --steps and --warmup at least 1.");
    }
    Benchmark benchmark =
        new Benchmark(
            model,
            sequenceLength,
            microBatchSize,
            accumulation,
            dtypeOf(dtype),
            dropout(),
            new RecomputeSettings(granularity, method, numLayers, modules),
            new Benchmark.Sharing(distributedOptimizer, overlapReduce),
            warmup,
            steps);
    ParallelSizes sizes = sizes();
    try {
      Benchmark.Result result = run(benchmark, sizes);
      double sinceFirstStep = (System.nanoTime() - result.firstStepNanos()) * 1e-9;
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("peer", "panatron");
      line.put("dtype", dtype);
      line.put("lora", false);
      line.put("compile", false);
      line.put("device", "cpu");
      if (sizes.world() > 1) {
        line.put("tensor_model_parallel_size", sizes.tensor());
        line.put("sequence_parallel", sizes.sequenceParallel());
        line.put("data_parallel_size", sizes.data());
      }
      line.put("tokens_per_s", round(result.tokensPerSecond(), 1));
      line.put("step_ms", round(result.medianSeconds() * 1e3, 1));
      line.put("start_s", round(ProcessFigures.secondsSinceStart() - sinceFirstStep, 2));
      line.put("peak_rss_mib", ProcessFigures.peakResidentBytes() >> 20);
      line.put("activations_mib", round(result.activationBytes() / (double) (1 << 20), 1));
      if (spec != null) {
        spec.commandLine().getOut().println(new ObjectMapper().writeValueAsString(line));
      }
      return 0;
    } catch (OutOfDeviceMemoryException e) {
      throw new UserError(String.valueOf(e.getMessage()), e);
    }
  }

  private Benchmark.Result run(Benchmark benchmark, ParallelSizes sizes) {
    if (sizes.world() == 1) {
      try (RankContext rank = DeviceChoice.openRank(device, threads)) {
        return benchmark.run(rank);
      }
    }
    return LocalLaunch.run(
        sizes,
        device,
        threads,
        new Network.Settings(TIMEOUT, false),
        rank -> Optional.of(benchmark.run(rank)));
  }

  private ParallelSizes sizes() {
    if (tensorParallelSize < 1 || (ranks != null && ranks < 1)) {
      throw new UserError("--tensor_model_parallel_size and --nproc_per_node must be at least 1.");
    }
    ParallelSizes sizes =
        ParallelSizes.ofWorld(ranks == null ? tensorParallelSize : ranks)
            .tensor(tensorParallelSize)
            .sequenceParallel(sequenceParallel)
            .build();
    if (accumulation % sizes.data() != 0) {
      throw new UserError(
          "--accum %d micro-batches do not divide among %d data-parallel ranks; change one of them."
              .formatted(accumulation, sizes.data()));
    }
    return sizes;
  }

  private DropoutRates dropout() {
    try {
      return new DropoutRates(hiddenDropout, attentionDropout);
    } catch (IllegalArgumentException e) {
      throw new UserError(
          "--hidden_dropout is %s and --attention_dropout %s; both must be at least 0 and below 1."
              .formatted(hiddenDropout, attentionDropout),
          e);
    }
  }

  private static DType dtypeOf(String name) {
    return switch (name) {
      case "float32" -> DType.F32;
      case "bfloat16" -> DType.BF16;
      case "float16" -> DType.F16;
      default ->
          throw new UserError("--dtype " + name + " is unknown; use float32, bfloat16 or float16.");
    };
  }

  private static double round(double value, int digits) {
    double unit = Math.pow(10, digits);
    return Math.round(value * unit) / unit;
  }
}
