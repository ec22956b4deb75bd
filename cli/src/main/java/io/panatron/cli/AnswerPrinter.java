package io.panatron.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.PrintWriter;

/** Shows what a model answered. */
@FunctionalInterface
interface AnswerPrinter {
  /**
   * Shows one answer.
   *
   * @param total how many answers there will be; a single one is printed without its prompt
   */
  void print(String prompt, int[] promptIds, int[] newIds, String answer, int total);

  /**
   * The printer of {@code --format}.
   *
   * @throws UserError if there is none
   */
  static AnswerPrinter of(String format, PrintWriter out) {
    return switch (format) {
      case "text" ->
          (prompt, promptIds, newIds, answer, total) -> {
            if (total > 1) {
              out.println("> " + prompt);
            }
            out.println(answer);
            out.flush();
          };
      case "jsonl" ->
          (prompt, promptIds, newIds, answer, total) -> {
            ObjectNode row = new ObjectMapper().createObjectNode();
            row.put("prompt", prompt);
            ArrayNode before = row.putArray("prompt_ids");
            for (int id : promptIds) {
              before.add(id);
            }
            ArrayNode after = row.putArray("new_ids");
            for (int id : newIds) {
              after.add(id);
            }
            row.put("answer", answer);
            out.println(row);
            out.flush();
          };
      default ->
          throw new UserError("--format cannot be '%s': choose text or jsonl.".formatted(format));
    };
  }
}
