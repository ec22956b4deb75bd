package io.panatron.cli;

import io.panatron.kernels.Network;
import io.panatron.kernels.OutOfDeviceMemoryException;
import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.train.ParallelArguments;
import io.panatron.runtime.train.SharedInputs;
import io.panatron.runtime.train.StopRequest;
import io.panatron.runtime.train.TrainingConfig;
import io.panatron.runtime.train.TrainingSession;
import java.io.PrintWriter;
import java.util.Optional;

/** Trains on this machine: opens the device that was asked for and runs the session on it. */
final class LocalTraining implements TrainingRun {
  @Override
  public int run(ParsedArguments given, PrintWriter out) {
    ParsedArguments arguments = ParallelArguments.withEnvironment(given, System.getenv());
    TrainingConfig config = TrainingConfig.of(arguments, HubChoice.fetched(arguments, out));
    StopRequest stop = new StopRequest();
    stop.listenToSignals();
    try {
      TrainingSession.Outcome outcome = train(config, stop, arguments, out);
      if (outcome.lastCheckpoint() != null) {
        out.println(
            (outcome.stopped() ? "Stopped at iteration %d; " : "Trained %d iterations; ")
                    .formatted(outcome.progress().iteration())
                + "the model is in "
                + outcome.lastCheckpoint());
      } else {
        out.println(
            (outcome.stopped()
                    ? "Stopped before a step was done, at iteration %d"
                    : "Nothing to train: iteration %d is the last")
                .formatted(outcome.progress().iteration()));
      }
      return 0;
    } catch (OutOfDeviceMemoryException e) {
      throw new UserError(String.valueOf(e.getMessage()), e);
    } finally {
      stop.finished();
    }
  }

  private static TrainingSession.Outcome train(
      TrainingConfig config, StopRequest stop, ParsedArguments arguments, PrintWriter out) {
    ParallelSizes sizes = ParallelArguments.of(arguments);
    String device = arguments.text("device");
    Integer threads = arguments.integerOrNull("threads");
    if (sizes.world() == 1) {
      try (RankContext rank = DeviceChoice.openRank(device, threads)) {
        return new TrainingSession(config, rank, out, stop, System.getenv()).run();
      }
    }
    SharedInputs shared = new SharedInputs();
    return LocalLaunch.run(
        sizes,
        device,
        threads,
        new Network.Settings(ParallelArguments.timeout(arguments), arguments.flag("check_comm")),
        rank -> {
          TrainingSession session =
              new TrainingSession(config, rank, out, stop, System.getenv(), shared);
          if (rank.isMain()) {
            return Optional.of(session.run());
          }
          session.follow();
          return Optional.empty();
        });
  }
}
