package io.panatron.runtime.hub;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What the head of a data set's README.md says of its configurations. */
record DatasetCard(List<Config> configs) {
  private static final String FENCE = "---";
  private static final int MOST_CHARACTERS = 4 << 20;

  /**
   * One configuration.
   *
   * @param dataDir the folder that patterns and names are looked for in; null for the whole
   * @param trainPatterns files of the training split; null where names tell
   */
  record Config(
      String name,
      @Nullable String dataDir,
      @Nullable List<String> trainPatterns,
      boolean isDefault) {}

  DatasetCard {
    configs = List.copyOf(configs);
  }

  /**
   * Reads the text of a README.md; one without a head has no configurations.
   *
   * @param repository for messages
   */
  static DatasetCard of(String repository, String text) {
    String[] lines = text.split("\r?\n", -1);
    if (lines.length == 0 || !lines[0].strip().equals(FENCE) || text.length() > MOST_CHARACTERS) {
      return new DatasetCard(List.of());
    }
    StringBuilder head = new StringBuilder();
    int line = 1;
    for (; line < lines.length && !lines[line].strip().equals(FENCE); line++) {
      head.append(lines[line]).append('\n');
    }
    if (line == lines.length) {
      return new DatasetCard(List.of());
    }
    try {
      JsonNode root = new YAMLMapper().readTree(head.toString());
      List<Config> configs = new ArrayList<>();
      for (JsonNode config : root == null ? List.<JsonNode>of() : root.path("configs")) {
        if (config.path("config_name").isTextual()) {
          configs.add(config(config));
        }
      }
      return new DatasetCard(configs);
    } catch (JsonProcessingException e) {
      throw new UserError(
          "The README.md of %s on the hub begins with YAML that cannot be read (%s); fetch its files and give them by name."
              .formatted(repository, e.getOriginalMessage().lines().findFirst().orElse("")),
          e);
    }
  }

  private static Config config(JsonNode config) {
    String dir = config.path("data_dir").isTextual() ? config.path("data_dir").asText() : null;
    return new Config(
        config.path("config_name").asText(),
        dir == null ? null : dir.replaceAll("^\\./|/+$", ""),
        config.has("data_files") ? training(config.path("data_files")) : null,
        config.path("default").asBoolean(false));
  }

  /** Bare patterns are the training split; others stand beside the name of theirs. */
  private static List<String> training(JsonNode dataFiles) {
    List<String> patterns = new ArrayList<>();
    if (dataFiles.isTextual()) {
      patterns.add(dataFiles.asText());
    }
    if (dataFiles.isObject()) {
      addAll(dataFiles.path("train"), patterns);
    }
    if (dataFiles.isArray()) {
      for (JsonNode entry : dataFiles) {
        if (entry.isTextual()) {
          patterns.add(entry.asText());
        } else if (entry.path("split").asText().equals("train")) {
          addAll(entry.path("path"), patterns);
        }
      }
    }
    return patterns;
  }

  private static void addAll(JsonNode paths, List<String> patterns) {
    if (paths.isTextual()) {
      patterns.add(paths.asText());
    }
    if (paths.isArray()) {
      paths.forEach(path -> patterns.add(path.asText()));
    }
  }
}
