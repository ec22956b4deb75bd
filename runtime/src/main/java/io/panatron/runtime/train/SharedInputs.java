package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.parallel.RankContext;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/**
 * What a run reads, opened by the main rank and used by all ranks of this virtual machine: one
 * tokenizer, one set of samples.
 */
public final class SharedInputs {
  private final CompletableFuture<RunInputs> opened = new CompletableFuture<>();

  /** Opens the inputs on the main rank; the others wait for that. */
  RunInputs open(RankContext rank, Supplier<RunInputs> opening) {
    if (!rank.isMain()) {
      return others();
    }
    try {
      RunInputs inputs = opening.get();
      opened.complete(inputs);
      return inputs;
    } catch (RuntimeException e) {
      opened.completeExceptionally(e);
      throw e;
    }
  }

  private RunInputs others() {
    try {
      return opened.join();
    } catch (CompletionException e) {
      // The same on every rank, since any of them may be the first to be reported.
      throw e.getCause() instanceof UserError error
          ? error
          : new IllegalStateException("the main rank could not open what the run reads", e);
    }
  }
}
