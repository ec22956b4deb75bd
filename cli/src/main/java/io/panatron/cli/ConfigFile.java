package io.panatron.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.panatron.runtime.JsonProblem;
import io.panatron.runtime.UserError;
import io.panatron.runtime.config.GivenValue;
import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterSet;
import io.panatron.runtime.config.ParameterType;
import io.panatron.runtime.config.Provenance;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads the YAML file of {@code --config}: one key per parameter, lists and maps as YAML has them.
 */
final class ConfigFile {
  private static final long LARGEST = 1 << 20;

  private ConfigFile() {}

  /**
   * The values of the file, not yet typed.
   *
   * @throws UserError if the file cannot be read, is no YAML map, or has a key that is no parameter
   */
  static List<GivenValue> read(String file, ParameterSet parameters) {
    JsonNode root = parse(file);
    if (!root.isObject()) {
      throw new UserError(
          "--config %s is no YAML map; write one 'name: value' line per parameter."
              .formatted(file));
    }
    List<GivenValue> given = new ArrayList<>();
    List<String> unknown = new ArrayList<>();
    root.properties()
        .forEach(entry -> {
          Parameter parameter = parameters.find(entry.getKey());
          if (parameter == null) {
            unknown.add(entry.getKey());
          } else {
            given.add(
                new GivenValue(
                    entry.getKey(), texts(parameter, entry.getValue()), Provenance.CONFIG_FILE));
          }
        });
    if (!unknown.isEmpty()) {
      throw parameters.unknown(unknown, " (in --config " + file + ")");
    }
    if (given.stream().anyMatch(value -> value.writtenAs().equals("config"))) {
      throw new UserError(
          "--config %s names a further config file, which is not read; remove it.".formatted(file));
    }
    return given;
  }

  private static JsonNode parse(String file) {
    YAMLMapper yaml =
        YAMLMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
    try {
      Path path = Path.of(file);
      if (Files.size(path) > LARGEST) {
        throw new UserError(
            "--config %s is larger than 1 MiB, so it is no configuration.".formatted(file));
      }
      return yaml.readTree(Files.readString(path));
    } catch (JsonProcessingException e) {
      int line = e.getLocation() == null ? 0 : e.getLocation().getLineNr();
      throw new UserError(
          "--config %s, line %d, is no valid YAML: %s.".formatted(file, line, JsonProblem.of(e)),
          e);
    } catch (NoSuchFileException e) {
      throw new UserError(
          "--config %s does not exist; give the path of a YAML file.".formatted(file), e);
    } catch (IOException | InvalidPathException e) {
      throw new UserError("--config %s cannot be read (%s).".formatted(file, e.getMessage()), e);
    }
  }

  private static List<String> texts(Parameter parameter, JsonNode value) {
    if (value.isNull()) {
      return List.of("None");
    }
    if (value.isObject() || (parameter.type() == ParameterType.LIST && value.isArray())) {
      return List.of(value.toString());
    }
    if (value.isArray()) {
      List<String> items = new ArrayList<>();
      value.forEach(item -> items.add(item.isValueNode() ? item.asText() : item.toString()));
      return parameter.type() == ParameterType.JSON ? List.of(value.toString()) : items;
    }
    return List.of(value.asText());
  }
}
