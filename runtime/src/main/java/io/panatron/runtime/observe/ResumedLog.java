package io.panatron.runtime.observe;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;

/**
 * Cuts the log of a run folder back to the checkpoint from which the run goes on there, so that the
 * iterations after it, which are run again, stand in it once.
 */
public final class ResumedLog {
  private ResumedLog() {}

  /**
   * Removes the rows of iterations after {@code iteration}, and what a killed run left of a last
   * row. Other lines stay as they are. The file is replaced as a whole, or not at all.
   *
   * @throws UserError if it cannot be read or replaced
   */
  public static void cut(Path file, long iteration) {
    if (!Files.isRegularFile(file)) {
      return;
    }
    ObjectMapper json = new ObjectMapper();
    List<String> kept = new ArrayList<>();
    boolean cut = false;
    try {
      try (BufferedReader in = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
        for (String line = in.readLine(); line != null; ) {
          String next = in.readLine();
          long own = iterationOf(json, line);
          boolean torn = own == TORN && next == null;
          if (torn || own > iteration) {
            cut = true;
          } else {
            kept.add(line);
          }
          line = next;
        }
      }
      if (cut) {
        replace(file, kept);
      }
    } catch (IOException e) {
      throw new UserError(
          "the rows of %s after iteration %d cannot be removed (%s); check its rights, or choose another --save"
              .formatted(file, iteration, e),
          e);
    }
  }

  /** No JSON. */
  private static final long TORN = -2;

  private static long iterationOf(ObjectMapper json, String line) {
    JsonNode row;
    try {
      row = json.readTree(line);
    } catch (JsonProcessingException e) {
      return TORN;
    }
    String text = row.path("iteration").asText();
    int slash = text.indexOf('/');
    try {
      return slash < 1 ? -1 : Long.parseLong(text.substring(0, slash));
    } catch (NumberFormatException e) {
      return -1; // a row of another program, which is not ours to remove
    }
  }

  private static void replace(Path file, List<String> lines) throws IOException {
    Path fresh = file.resolveSibling(file.getFileName() + ".part");
    boolean moved = false;
    try {
      try (BufferedWriter out = Files.newBufferedWriter(fresh, StandardCharsets.UTF_8)) {
        for (String line : lines) {
          out.write(line);
          out.write('\n');
        }
      }
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      moved = true;
    } finally {
      if (!moved) {
        Files.deleteIfExists(fresh);
      }
    }
  }
}
