package io.panatron.runtime.observe.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ShellCommand;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Set;

/**
 * {@code report.html}: one file that needs nothing else, neither a network nor other files.
 *
 * <p>The page draws itself from the numbers in it; style and script are in the resources beside
 * this class.
 */
public final class HtmlReport {
  /** Name of the file that each run leaves. */
  public static final String NAME = "report.html";

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Points of a curve; more cannot be seen. */
  private static final int MOST_POINTS = 2000;

  private HtmlReport() {}

  /**
   * Writes the report.
   *
   * @param runFolders one, or several to be compared
   * @param file where to
   * @throws UserError naming what is no run folder
   * @throws IOException if the file cannot be written
   */
  public static void write(List<Path> runFolders, Path file) throws IOException {
    List<RunData> runs = runFolders.stream().map(RunData::read).toList();
    String page =
        resource("report.html")
            .replace("@style@", resource("report.css"))
            .replace("@script@", resource("chart.js") + resource("report.js"))
            // Last, since it may hold anything.
            .replace("@data@", embeddable(data(runs)));
    Path folder = Objects.requireNonNullElse(file.toAbsolutePath().getParent(), file);
    Files.createDirectories(folder);
    Path side = folder.resolve("." + file.getFileName() + ".tmp");
    try {
      Files.writeString(side, page);
      Files.move(side, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(side);
    }
  }

  private static JsonNode data(List<RunData> runs) {
    ObjectNode root = JSON.createObjectNode();
    root.put("made", Instant.now().toString());
    ArrayNode list = root.putArray("runs");
    Set<String> names = new HashSet<>();
    for (RunData run : runs) {
      String name = run.name();
      for (int number = 2; !names.add(name); number++) {
        name = run.name() + " (" + number + ")";
      }
      ObjectNode node = list.addObject();
      node.put("name", name);
      node.put("folder", run.folder().toAbsolutePath().normalize().toString());
      node.put("progress", run.progress());
      node.put("elapsed", run.elapsed());
      node.set("facts", run.facts());
      node.set("args", run.arguments());
      JsonNode command = run.facts().path("command");
      if (command.isArray()) {
        List<String> words = new ArrayList<>();
        command.forEach(word -> words.add(word.asText()));
        node.put("command", ShellCommand.of(words).strip());
      }
      ObjectNode series = node.putObject("series");
      run.series().forEach((key, points) -> addPoints(series.putArray(key), points));
    }
    return root;
  }

  private static void addPoints(ArrayNode list, NavigableMap<Long, Double> points) {
    int stride = Math.ceilDiv(points.size(), MOST_POINTS);
    int index = 0;
    for (Map.Entry<Long, Double> point : points.entrySet()) {
      boolean last = index == points.size() - 1;
      if (index++ % stride == 0 || last) {
        ArrayNode pair = list.addArray().add(point.getKey());
        if (Double.isFinite(point.getValue())) {
          pair.add(point.getValue());
        } else {
          pair.addNull();
        }
      }
    }
  }

  /** As JSON that cannot end the element of the page that holds it. */
  private static String embeddable(JsonNode data) {
    return data.toString().replace("<", "\\u003c");
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = HtmlReport.class.getResourceAsStream(name)) {
      return new String(Objects.requireNonNull(in, name).readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
