package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import org.jspecify.annotations.Nullable;

/**
 * How long a run is: iterations of training, of one evaluation, and of one epoch.
 *
 * <p>Source: Megatron-SWIFT's {@code _get_iters}. With {@code step = microBatchSize * ranks} and
 * {@code n = trainSize - trainSize % step}: {@code trainIters = n * maxEpochs / globalBatchSize},
 * and {@code evalIters = max(validationSize / globalBatchSize, 1)}, all rounded down.
 *
 * @param trainIters optimizer steps of the run
 * @param evalIters global batches of one evaluation, 0 without validation data
 * @param epochIters whole optimizer steps of one epoch, for {@code save_strategy epoch}; may be 0
 */
public record IterationPlan(int trainIters, int evalIters, int epochIters) {

  /** What the plan follows from; {@code evalIters} is -1 for "from the validation size". */
  public record Request(
      int trainSize,
      int validationSize,
      int microBatchSize,
      int ranks,
      int globalBatchSize,
      @Nullable Integer trainIters,
      @Nullable Integer maxEpochs,
      int evalIters) {}

  /**
   * The plan for streamed data, whose size is unknown: as many iterations as asked for, unless the
   * data end before.
   */
  public static IterationPlan ofStream(Request r) {
    if (r.trainIters() == null) {
      throw new UserError(
          "--streaming true needs --train_iters, since the number of rows is unknown; --max_epochs"
              + " may end the run before that");
    }
    requireWholeSteps(r);
    return new IterationPlan(r.trainIters(), evalIters(r), 0);
  }

  /**
   * Computes the plan.
   *
   * @throws UserError if the data do not fill a step, or neither or bad lengths are given
   */
  public static IterationPlan of(Request r) {
    long step = requireWholeSteps(r);
    if (r.trainSize() < step) {
      throw new UserError(
          "the training data hold "
              + r.trainSize()
              + " samples, fewer than the "
              + step
              + " of one step (--micro_batch_size "
              + r.microBatchSize()
              + " times "
              + r.ranks()
              + " data-parallel ranks); add rows, lower --micro_batch_size, or raise --max_length if"
              + " rows were deleted for their length");
    }
    long n = r.trainSize() - r.trainSize() % step;
    return new IterationPlan(
        trainIters(r, n), evalIters(r), Math.toIntExact(n / r.globalBatchSize()));
  }

  /** Samples of one step of all ranks. */
  private static long requireWholeSteps(Request r) {
    long step = (long) r.microBatchSize() * r.ranks();
    if (r.globalBatchSize() % step != 0) {
      throw new UserError(
          "--global_batch_size "
              + r.globalBatchSize()
              + " is not a multiple of --micro_batch_size "
              + r.microBatchSize()
              + " times "
              + r.ranks()
              + " data-parallel ranks; choose a multiple of "
              + step);
    }
    return step;
  }

  private static int trainIters(Request r, long n) {
    if (r.maxEpochs() != null) {
      if (r.maxEpochs() < 1) {
        throw new UserError("--max_epochs must be at least 1, but is " + r.maxEpochs());
      }
      long iterations = n * r.maxEpochs() / r.globalBatchSize();
      if (iterations == 0) {
        throw new UserError(
            "--max_epochs "
                + r.maxEpochs()
                + " over "
                + n
                + " samples does not fill one --global_batch_size of "
                + r.globalBatchSize()
                + "; lower --global_batch_size, raise --max_epochs, or give --train_iters");
      }
      if (iterations > Integer.MAX_VALUE) {
        throw new UserError("--max_epochs " + r.maxEpochs() + " makes too many iterations");
      }
      return (int) iterations;
    }
    if (r.trainIters() == null) {
      throw new UserError(
          "the length of the run is not given; say --max_epochs 1, or --train_iters and a number");
    }
    if (r.trainIters() < 0) {
      throw new UserError("--train_iters must not be negative, but is " + r.trainIters());
    }
    return r.trainIters();
  }

  private static int evalIters(Request r) {
    if (r.validationSize() == 0 || r.evalIters() == 0) {
      return 0;
    }
    if (r.evalIters() < -1) {
      throw new UserError(
          "--eval_iters must be -1 (all validation data) or at least 0, but is " + r.evalIters());
    }
    return r.evalIters() > 0
        ? r.evalIters()
        : Math.max(r.validationSize() / r.globalBatchSize(), 1);
  }
}
