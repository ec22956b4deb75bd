package io.panatron.runtime.quickstart;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * The quickstart's questions and answers, all different, drawn from a seed.
 *
 * <p>The held-out part shares no prompt with the training part, nor a question that is the same but
 * for the order of its parts: if {@code 37 + 91} is held out, {@code 91 + 37} is not trained on,
 * nor is the reversal of a held-out answer, nor other digits that sort to a held-out answer.
 *
 * @param train mixed tasks
 * @param heldOut as many rows of each task, one task after the other
 */
public record TaskData(List<TaskRow> train, List<TaskRow> heldOut) {
  private static final RandomGeneratorFactory<RandomGenerator> GENERATOR =
      RandomGeneratorFactory.of("L64X128MixRandom");

  public TaskData {
    train = List.copyOf(train);
    heldOut = List.copyOf(heldOut);
    Set<String> prompts = new HashSet<>();
    for (TaskRow row : train) {
      prompts.add(row.prompt());
    }
    for (TaskRow row : heldOut) {
      if (!prompts.add(row.prompt())) {
        throw new IllegalArgumentException(
            "the held-out prompt '%s' occurs twice".formatted(row.prompt()));
      }
    }
  }

  /**
   * Draws the data; the same seed gives the same rows.
   *
   * @param additions training rows of {@link Task#ADDITION}; at most 7,000 of the 8,100 there are
   * @param others training rows of each other task; at most 7,000
   * @param heldOutRows of each task; at most 200
   */
  public static TaskData draw(long seed, int additions, int others, int heldOutRows) {
    if (Math.min(additions, others) < 1 || Math.max(additions, others) > 7_000) {
      throw new IllegalArgumentException(
          "cannot draw %d additions and %d rows of each other task".formatted(additions, others));
    }
    if (heldOutRows < 1 || heldOutRows > 200) {
      throw new IllegalArgumentException(
          "cannot draw %d held-out rows of each task".formatted(heldOutRows));
    }
    RandomGenerator random = GENERATOR.create(seed);
    List<TaskRow> train = new ArrayList<>();
    List<TaskRow> heldOut = new ArrayList<>();
    for (Task task : Task.values()) {
      Set<String> keys = new HashSet<>();
      while (keys.size() < heldOutRows) {
        Task.Example example = task.draw(random);
        if (keys.add(example.key())) {
          heldOut.add(row(example));
        }
      }
      Set<String> prompts = new HashSet<>();
      while (prompts.size() < (task == Task.ADDITION ? additions : others)) {
        Task.Example example = task.draw(random);
        if (!keys.contains(example.key()) && prompts.add(example.prompt())) {
          train.add(row(example));
        }
      }
    }
    Collections.shuffle(train, Random.from(random));
    return new TaskData(train, heldOut);
  }

  private static TaskRow row(Task.Example example) {
    return new TaskRow(example.task(), example.prompt(), example.answer());
  }

  /**
   * Writes rows as {@code trainer sft} reads them: one JSON object with {@code messages} per line.
   */
  public static void write(List<TaskRow> rows, Path file) throws IOException {
    ObjectMapper json = new ObjectMapper();
    StringBuilder text = new StringBuilder();
    for (TaskRow row : rows) {
      ObjectNode object = json.createObjectNode();
      ArrayNode messages = object.putArray("messages");
      messages.addObject().put("role", "user").put("content", row.prompt());
      messages.addObject().put("role", "assistant").put("content", row.answer());
      text.append(json.writeValueAsString(object)).append('\n');
    }
    Files.writeString(file, text);
  }
}
