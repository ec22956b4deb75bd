package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What runs left: their log, compared by the very digits, and their checkpoints, by the bytes. */
final class RunFiles {
  private static final ObjectMapper JSON = new ObjectMapper();

  private RunFiles() {}

  /**
   * Loss, gradient norm and learning rate of each logged iteration, as written. An iteration that
   * stands there twice, because a killed run did it and its successor again, must agree with
   * itself.
   */
  static Map<Integer, String> log(Path runFolder) {
    Map<Integer, String> rows = new TreeMap<>();
    try {
      List<String> lines = Files.readAllLines(runFolder.resolve("logging.jsonl"));
      for (String line : lines) {
        JsonNode row = JSON.readTree(line);
        int iteration = Integer.parseInt(row.get("iteration").asText().split("/", 2)[0]);
        String numbers =
            "loss %s, grad_norm %s, learning_rate %s"
                .formatted(row.get("loss"), row.get("grad_norm"), row.get("learning_rate"));
        String earlier = rows.put(iteration, numbers);
        if (earlier != null) {
          assertThat(numbers).as("iteration %d, done again", iteration).isEqualTo(earlier);
        }
      }
      return rows;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The rows of {@link #log} from one iteration on. */
  static Map<Integer, String> logFrom(Path runFolder, int iteration) {
    return new TreeMap<>(((TreeMap<Integer, String>) log(runFolder)).tailMap(iteration));
  }

  /** The weights, and all that a further run would start from. */
  static void assertSameState(Path checkpoint, Path expected) {
    List<String> files = names(expected);
    assertThat(files).contains("model.safetensors", "state/trainer_state.json");
    assertThat(names(checkpoint)).isEqualTo(files);
    for (String name : files) {
      try {
        assertThat(Files.mismatch(checkpoint.resolve(name), expected.resolve(name)))
            .as("first byte of %s in %s that differs from %s", name, checkpoint, expected)
            .isEqualTo(-1);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private static List<String> names(Path checkpoint) {
    return List.of(
            "model.safetensors",
            "state/parameters.safetensors",
            "state/optimizer.safetensors",
            "state/trainer_state.json")
        .stream()
        .filter(name -> Files.exists(checkpoint.resolve(name)))
        .toList();
  }

  /** Changes one bit in the middle of a file. */
  static void flipBit(Path file) {
    try {
      byte[] bytes = Files.readAllBytes(file);
      bytes[bytes.length / 2] ^= 0x10;
      Files.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Cuts the last third off a file. */
  static void tear(Path file) {
    try {
      byte[] bytes = Files.readAllBytes(file);
      Files.write(file, java.util.Arrays.copyOf(bytes, bytes.length * 2 / 3));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
