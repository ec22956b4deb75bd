package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Where a run stood when it was saved, apart from its tensors: position in the data, in the
 * learning rate schedule and in the random streams, and the sums its log lines are made of.
 *
 * <p>Written as {@code state/trainer_state.json}. Reading gives back every long and every bit of
 * every double (not-a-number apart, of which there is one), since a resumed run must repeat the
 * uninterrupted one.
 *
 * @param iteration iterations done
 * @param consumedTrainSamples samples drawn from the training data since iteration 0
 * @param consumedValidSamples samples drawn from the validation data
 * @param schedulerSteps steps of the learning rate schedule, in its unit (Megatron: samples)
 * @param randomStates each random generator's words by name; empty after {@code --no_save_rng}
 * @param sums running sums and other numbers of the loss bookkeeping, by name
 * @param counters further positions and counts (skipped iterations, tokens seen), by name
 * @param texts what else the run must find again as it was, by name; empty in older files
 */
public record TrainerState(
    long iteration,
    long consumedTrainSamples,
    long consumedValidSamples,
    long schedulerSteps,
    Map<String, List<Long>> randomStates,
    Map<String, Double> sums,
    Map<String, Long> counters,
    Map<String, String> texts) {
  /** Counter of optimizer updates, which bias correction needs. */
  public static final String OPTIMIZER_STEPS = "optimizer_steps";

  static final int FORMAT_VERSION = 1;
  private static final long MAX_BYTES = 256L << 20;

  public TrainerState {
    if (iteration < 0 || consumedTrainSamples < 0 || consumedValidSamples < 0) {
      throw new IllegalArgumentException("a trainer state counts from zero");
    }
    Map<String, List<Long>> states = new TreeMap<>();
    randomStates.forEach((name, words) -> states.put(name, List.copyOf(words)));
    randomStates = Collections.unmodifiableMap(states);
    sums = Collections.unmodifiableMap(new TreeMap<>(sums));
    counters = Collections.unmodifiableMap(new TreeMap<>(counters));
    texts = Collections.unmodifiableMap(new TreeMap<>(texts));
  }

  /** A state without texts. */
  public TrainerState(
      long iteration,
      long consumedTrainSamples,
      long consumedValidSamples,
      long schedulerSteps,
      Map<String, List<Long>> randomStates,
      Map<String, Double> sums,
      Map<String, Long> counters) {
    this(
        iteration,
        consumedTrainSamples,
        consumedValidSamples,
        schedulerSteps,
        randomStates,
        sums,
        counters,
        Map.of());
  }

  /** The state of a run that has not begun: no optimizer has made a step yet. */
  public static TrainerState ofWeightsAlone() {
    return new TrainerState(0, 0, 0, 0, Map.of(), Map.of(), Map.of(OPTIMIZER_STEPS, 0L), Map.of());
  }

  /** Whether an optimizer's state would be that of its first step, so that none need be saved. */
  public boolean hasFreshOptimizer() {
    Long steps = counters.get(OPTIMIZER_STEPS);
    return steps != null && steps == 0;
  }

  byte[] toBytes() {
    ObjectNode root = BoundedJson.newObject();
    root.put("format_version", FORMAT_VERSION);
    root.put("iteration", iteration);
    root.put("consumed_train_samples", consumedTrainSamples);
    root.put("consumed_valid_samples", consumedValidSamples);
    root.put("scheduler_steps", schedulerSteps);
    ObjectNode states = root.putObject("random_states");
    randomStates.forEach((name, words) -> {
      ArrayNode array = states.putArray(name);
      words.forEach(array::add);
    });
    ObjectNode sumsNode = root.putObject("sums");
    // As text: JSON has neither NaN nor infinities, and Double.toString is read back exactly.
    sums.forEach((name, value) -> sumsNode.put(name, Double.toString(value)));
    ObjectNode countersNode = root.putObject("counters");
    counters.forEach(countersNode::put);
    if (!texts.isEmpty()) {
      ObjectNode textsNode = root.putObject("texts");
      texts.forEach(textsNode::put);
    }
    return BoundedJson.toIndentedBytes(root);
  }

  /**
   * Reads a state written by {@link #toBytes}.
   *
   * @throws UserError where a newer version of the program wrote it, or a key is missing or wrong
   */
  static TrainerState read(Path file) {
    ObjectNode root = BoundedJson.readObject(file, MAX_BYTES);
    long version = number(file, root, "format_version");
    if (version > FORMAT_VERSION) {
      throw new UserError(
          "%s has format version %d, written by a newer version of this program, which reads up to %d."
              .formatted(file, version, FORMAT_VERSION));
    }
    Map<String, List<Long>> states = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : object(file, root, "random_states").properties()) {
      List<Long> words = new ArrayList<>();
      for (JsonNode word : entry.getValue()) {
        words.add(number(file, word, "random_states." + entry.getKey()));
      }
      states.put(entry.getKey(), words);
    }
    Map<String, Double> sums = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : object(file, root, "sums").properties()) {
      try {
        sums.put(entry.getKey(), Double.valueOf(entry.getValue().asText()));
      } catch (NumberFormatException e) {
        throw wrong(file, "sums." + entry.getKey());
      }
    }
    Map<String, Long> counters = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : object(file, root, "counters").properties()) {
      counters.put(entry.getKey(), number(file, entry.getValue(), "counters." + entry.getKey()));
    }
    Map<String, String> texts = new TreeMap<>();
    if (root.has("texts")) {
      for (Map.Entry<String, JsonNode> entry : object(file, root, "texts").properties()) {
        if (!entry.getValue().isTextual()) {
          throw wrong(file, "texts." + entry.getKey());
        }
        texts.put(entry.getKey(), entry.getValue().textValue());
      }
    }
    try {
      return new TrainerState(
          number(file, root, "iteration"),
          number(file, root, "consumed_train_samples"),
          number(file, root, "consumed_valid_samples"),
          number(file, root, "scheduler_steps"),
          states,
          sums,
          counters,
          texts);
    } catch (IllegalArgumentException e) {
      throw new UserError("%s is wrong: %s.".formatted(file, e.getMessage()), e);
    }
  }

  private static ObjectNode object(Path file, ObjectNode root, String key) {
    if (root.get(key) instanceof ObjectNode node) {
      return node;
    }
    throw wrong(file, key);
  }

  private static long number(Path file, ObjectNode root, String key) {
    return number(file, root.path(key), key);
  }

  private static long number(Path file, JsonNode node, String key) {
    if (node.isIntegralNumber() && node.canConvertToLong()) {
      return node.longValue();
    }
    throw wrong(file, key);
  }

  private static UserError wrong(Path file, String key) {
    return new UserError("%s has no usable %s; load another checkpoint.".formatted(file, key));
  }
}
