package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.optim.DataParallel;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Reads from the arguments of a training command how its work is split among ranks. */
public final class ParallelArguments {
  /** Optimizer state in these dtypes has a scale for each parameter, of which a rank has a part. */
  private static final List<String> SCALED = List.of("fp16", "fp8");

  private static final String RANKS = "nproc_per_node";

  private ParallelArguments() {}

  /**
   * Takes the number of ranks from where torchrun's users leave it, unless it is given.
   *
   * @param environment variables of the process
   * @throws UserError where they ask for several machines, or for no number
   */
  public static ParsedArguments withEnvironment(
      ParsedArguments a, Map<String, String> environment) {
    if (!environment.getOrDefault("NNODES", "1").equals("1")) {
      throw new UserError(
          "NNODES is %s, but training on several machines is not supported yet; unset it."
              .formatted(environment.get("NNODES")));
    }
    String ranks = environment.get("NPROC_PER_NODE");
    if (ranks == null || a.isGiven(RANKS)) {
      return a;
    }
    if (!ranks.matches("[1-9][0-9]{0,5}")) {
      throw new UserError(
          "NPROC_PER_NODE is '%s', but a number of ranks is at least 1; correct or unset it."
              .formatted(ranks));
    }
    return a.with(RANKS, Integer.parseInt(ranks));
  }

  /**
   * The sizes of a run on one machine: as many ranks as {@code --nproc_per_node} says, else as one
   * copy of the model needs.
   *
   * @throws UserError where they contradict each other, or ask for what ranks cannot do together
   */
  public static ParallelSizes of(ParsedArguments a) {
    int tensor = a.integer("tensor_model_parallel_size");
    Integer ranks = a.integerOrNull(RANKS);
    ParallelSizes sizes =
        ParallelSizes.ofWorld(ranks == null ? tensor : ranks)
            .tensor(tensor)
            .sequenceParallel(a.flag("sequence_parallel"))
            .build();
    if (tensor > 1) {
      requireShareable(a);
    }
    if (sizes.data() > 1) {
      requireSamplesToShare(a, sizes.data());
    }
    return sizes;
  }

  /** How data-parallel ranks share their work. */
  static DataParallel.Settings dataParallel(ParsedArguments a, ParallelSizes sizes) {
    int ranks = sizes.data() * sizes.context();
    return new DataParallel.Settings(
        a.flag("use_distributed_optimizer"),
        a.flag("overlap_grad_reduce"),
        DataParallel.Settings.defaults(ranks).bucketSize());
  }

  /** How long a rank waits for others before the run ends with every rank's position. */
  public static Duration timeout(ParsedArguments a) {
    return a.isGiven("distributed_timeout_minutes")
        ? Duration.ofMinutes(a.integer("distributed_timeout_minutes"))
        : Duration.ofSeconds(a.integer("ddp_timeout"));
  }

  private static void requireSamplesToShare(ParsedArguments a, int ranks) {
    int micro = a.integer("micro_batch_size");
    int global = a.integer("global_batch_size");
    if (global % ((long) micro * ranks) != 0) {
      throw new UserError(
          ("--global_batch_size %d is not a multiple of --micro_batch_size %d times the %d"
                  + " data-parallel ranks; change one of them.")
              .formatted(global, micro, ranks));
    }
    refuse(a.flag("streaming"), "--streaming true", "several data-parallel ranks");
    refuse(
        a.flag("use_precision_aware_optimizer"),
        "--use_precision_aware_optimizer true",
        "several data-parallel ranks");
  }

  private static void requireShareable(ParsedArguments a) {
    String ranks = "--tensor_model_parallel_size above 1";
    refuse(a.flag("async_save"), "--async_save true", ranks);
    refuse(a.flag("streaming"), "--streaming true", ranks);
    refuse(a.flag("log_params_norm"), "--log_params_norm true", ranks);
    for (String name : List.of("main_params_dtype", "exp_avg_dtype", "exp_avg_sq_dtype")) {
      boolean scaled = SCALED.contains(a.text(name));
      refuse(
          scaled && a.flag("use_precision_aware_optimizer"),
          "--" + name + " " + a.text(name),
          ranks);
    }
  }

  private static void refuse(boolean asked, String what, String with) {
    if (asked) {
      throw new UserError(
          "%s is not supported yet together with %s; drop one of them.".formatted(what, with));
    }
  }
}
