package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import java.util.List;

/** Reads from the arguments of a training command how its work is split among ranks. */
public final class ParallelArguments {
  /** Optimizer state in these dtypes has a scale for each parameter, of which a rank has a part. */
  private static final List<String> SCALED = List.of("fp16", "fp8");

  private ParallelArguments() {}

  /**
   * The sizes of a run on one machine, with as many ranks as its model needs.
   *
   * @throws UserError where they contradict each other, or ask for what ranks cannot do together
   */
  public static ParallelSizes of(ParsedArguments a) {
    int tensor = a.integer("tensor_model_parallel_size");
    ParallelSizes sizes =
        ParallelSizes.ofWorld(tensor)
            .tensor(tensor)
            .sequenceParallel(a.flag("sequence_parallel"))
            .build();
    if (tensor > 1) {
      requireShareable(a);
    }
    return sizes;
  }

  private static void requireShareable(ParsedArguments a) {
    refuse(a.flag("async_save"), "--async_save true");
    refuse(a.flag("streaming"), "--streaming true");
    refuse(!a.list("new_special_tokens").isEmpty(), "--new_special_tokens");
    refuse(a.flag("log_params_norm"), "--log_params_norm true");
    for (String name : List.of("main_params_dtype", "exp_avg_dtype", "exp_avg_sq_dtype")) {
      boolean scaled = SCALED.contains(a.text(name));
      refuse(scaled && a.flag("use_precision_aware_optimizer"), "--" + name + " " + a.text(name));
    }
  }

  private static void refuse(boolean asked, String what) {
    if (asked) {
      throw new UserError(
          what
              + " is not supported yet together with --tensor_model_parallel_size above 1; drop one"
              + " of them.");
    }
  }
}
