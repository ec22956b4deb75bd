package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.Main;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code trainer generate} against the greedy continuations of transformers. */
class GenerateCommandTest {
  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "qwen3", "llama3"})
  void promptsAreRenderedAndContinuedAsByTransformers(String name) throws Exception {
    Golden golden = Golden.open(name);
    List<String> arguments = arguments(golden, "--prompt");
    golden.at("generate").forEach(item -> arguments.add(item.get("prompt").asText()));
    List<JsonNode> rows = generate(arguments);
    assertThat(rows).hasSize(golden.at("generate").size());
    for (int i = 0; i < rows.size(); i++) {
      JsonNode expected = golden.at("generate").get(i);
      assertThat(Golden.ints(rows.get(i).get("prompt_ids")))
          .isEqualTo(Golden.ints(expected.get("prompt_ids")));
      assertThat(Golden.ints(rows.get(i).get("new_ids")))
          .isEqualTo(Golden.ints(expected.get("new_ids")));
    }
  }

  @Test
  void tokenIdsAreContinuedInBatchesOfAnySize() throws Exception {
    Golden golden = Golden.open("qwen3");
    List<String> arguments = arguments(golden, "--micro_batch_size", "2", "--raw_ids");
    for (JsonNode item : golden.at("generate")) {
      arguments.add(
          IntStream.of(Golden.ints(item.get("prompt_ids")))
              .mapToObj(Integer::toString)
              .collect(Collectors.joining(",")));
    }
    List<JsonNode> rows = generate(arguments);
    assertThat(rows).hasSize(golden.at("generate").size());
    for (int i = 0; i < rows.size(); i++) {
      assertThat(Golden.ints(rows.get(i).get("new_ids")))
          .isEqualTo(Golden.ints(golden.at("generate").get(i).get("new_ids")));
    }
  }

  private static List<String> arguments(Golden golden, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of("generate", "--model", golden.model().toString(), "--format", "jsonl"));
    arguments.addAll(List.of("--max_new_tokens", "12", "--ignore_eos", "true", "--threads", "2"));
    arguments.addAll(Arrays.asList(more));
    return arguments;
  }

  /** Runs the program as a user does, and reads the lines it prints. */
  private static List<JsonNode> generate(List<String> arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of("--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    command.addAll(arguments);
    Process process = new ProcessBuilder(command).redirectError(Redirect.INHERIT).start();
    process.getOutputStream().close();
    try (var output = process.inputReader()) {
      List<JsonNode> rows = output.lines().map(GenerateCommandTest::parse).toList();
      assertThat(process.waitFor()).isZero();
      return rows;
    }
  }

  private static JsonNode parse(String line) {
    try {
      return new ObjectMapper().readTree(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
