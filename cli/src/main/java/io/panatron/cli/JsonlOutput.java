package io.panatron.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.generate.Answer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** Answers as rows of JSON, written as soon as they are complete. */
final class JsonlOutput implements AnswerOutput, AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final PrintWriter out;
  private final String name;
  private final boolean closes;
  private final boolean logProbabilities;

  private JsonlOutput(PrintWriter out, String name, boolean closes, boolean logProbabilities) {
    this.out = out;
    this.name = name;
    this.closes = closes;
    this.logProbabilities = logProbabilities;
  }

  /** Rows for whoever reads the program's output. */
  static JsonlOutput to(PrintWriter out, boolean logProbabilities) {
    return new JsonlOutput(out, "the output", false, logProbabilities);
  }

  /**
   * Rows in a new file, in UTF-8; a file of that name is replaced.
   *
   * @throws UserError if it cannot be written
   */
  static JsonlOutput to(Path file, boolean logProbabilities) {
    try {
      PrintWriter writer = new PrintWriter(Files.newBufferedWriter(file));
      return new JsonlOutput(writer, "--result_path " + file, true, logProbabilities);
    } catch (IOException e) {
      throw new UserError(
          "--result_path %s cannot be written (%s); check the folder and its rights."
              .formatted(file, e.getClass().getSimpleName()),
          e);
    }
  }

  @Override
  public void end(PromptOptions.Prompt prompt, Answer answer) {
    ObjectNode row = JSON.createObjectNode();
    row.put("prompt", prompt.shown());
    row.put("sample", answer.completion().sample());
    row.put("answer", answer.text());
    row.put("stop_reason", answer.completion().reason().name().toLowerCase(Locale.ROOT));
    ArrayNode before = row.putArray("prompt_ids");
    for (int id : prompt.ids()) {
      before.add(id);
    }
    ArrayNode after = row.putArray("new_ids");
    for (int id : answer.completion().tokens()) {
      after.add(id);
    }
    if (logProbabilities) {
      ArrayNode logarithms = row.putArray("logprobs");
      for (double logarithm : answer.completion().logProbabilities()) {
        logarithms.add(logarithm);
      }
    }
    out.println(row);
    if (!closes) {
      ClosedOutputException.check(out);
    } else if (out.checkError()) {
      throw new UserError(
          "%s cannot be written any further; free space on its disk.".formatted(name));
    }
  }

  @Override
  public void close() {
    if (closes) {
      out.close();
    }
  }
}
