package io.panatron.runtime.train;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Reduction;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.SequenceTargets;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.task.Mean;
import io.panatron.runtime.task.Measures;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The mean loss of the micro-batches of sequences of the validation set, and what else is measured.
 */
final class SequenceEvaluation implements Validation {
  private final RankContext rank;
  private final TransformerModel model;
  private final Supplier<BatchSource> validation;
  private final boolean checkMemory;
  private final SequenceObjective objective;
  private final @Nullable PredictionLog log;

  SequenceEvaluation(
      RankContext rank,
      TransformerModel model,
      Supplier<BatchSource> validation,
      boolean checkMemory,
      SequenceObjective objective,
      @Nullable PredictionLog log) {
    this.rank = rank;
    this.model = model;
    this.validation = validation;
    this.checkMemory = checkMemory;
    this.objective = objective;
    this.log = log;
  }

  @Override
  public Evaluation.Result run(long iteration) {
    Measures measures = objective.loss().measures(true);
    Mean loss = Mean.NONE;
    long sequences = 0;
    List<Map<String, Object>> predictions = new ArrayList<>();
    try (BatchSource batches = validation.get()) {
      while (batches.hasNext()) {
        MicroBatch batch = batches.next();
        if (batch.length() > 0) {
          double[][] rows = outputs(batch);
          SequenceTargets targets = SequenceObjective.targets(batch);
          loss = loss.plus(objective.loss().of(rows, targets.tags()).loss());
          measures.add(rows, targets.tags());
          sequences += rows.length;
          if (log != null) {
            predictions.addAll(objective.loss().predictions(rows, targets.tags()));
          }
        }
      }
    }
    if (log != null) {
      log.write(iteration, predictions);
    }
    Communicator ranks = rank.groups().dataContext();
    SortedMap<String, Double> values = new TreeMap<>();
    over(ranks, measures.values()).forEach((name, mean) -> values.put(name, mean.value()));
    return new Evaluation.Result(
        over(ranks, loss).value(),
        (long) ranks.allReduce((double) sequences, Reduction.SUM),
        Collections.emptySortedMap(),
        "sequences",
        values);
  }

  private double[][] outputs(MicroBatch batch) {
    Backend backend = rank.backend();
    try (MemoryScope scope = rank.memory().scope("evaluation", checkMemory)) {
      Tape tape = Tape.inference(backend, scope);
      DeviceBatch device = DeviceBatch.upload(backend.device(), scope, batch);
      return SequenceObjective.rows(
          backend.device(), objective.outputs(tape, model, batch, device, DropoutPlan.NONE));
    }
  }

  /** The means over all ranks that share the samples; all measure the same. */
  static SortedMap<String, Mean> over(Communicator ranks, SortedMap<String, Mean> own) {
    SortedMap<String, Mean> all = new TreeMap<>();
    own.forEach((name, mean) -> all.put(name, over(ranks, mean)));
    return all;
  }

  private static Mean over(Communicator ranks, Mean own) {
    return new Mean(
        ranks.allReduce(own.sum(), Reduction.SUM),
        (long) ranks.allReduce((double) own.count(), Reduction.SUM));
  }
}
