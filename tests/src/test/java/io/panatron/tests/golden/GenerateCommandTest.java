package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.Main;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code trainer generate} as a process, against transformers. */
class GenerateCommandTest {
  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "qwen3", "llama3", "gpt2"})
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

  /** Computed by {@code generate(do_sample=False, repetition_penalty=1.4)} of transformers 5.18. */
  private static final int[][] PENALISED = {
    {363, 221, 356, 269, 307, 363, 221, 262, 338, 255, 329, 62, 282, 75, 32, 33},
    {59, 0, 188, 175, 223, 62, 182, 47, 165, 225, 75, 1, 363, 227, 19, 59},
    {47, 86, 43, 188, 175, 116, 59, 284, 209, 382, 278, 50, 369, 1, 140, 59}
  };

  @Test
  void theRepetitionPenaltyIsThatOfTransformers() throws Exception {
    Golden golden = Golden.open("qwen3");
    List<String> arguments =
        arguments(golden, "--max_new_tokens", "16", "--repetition_penalty", "1.4", "--prompt");
    golden.at("generate").forEach(item -> arguments.add(item.get("prompt").asText()));
    List<JsonNode> rows = generate(arguments);
    for (int i = 0; i < PENALISED.length; i++) {
      assertThat(Golden.ints(rows.get(i).get("new_ids"))).isEqualTo(PENALISED[i]);
    }
  }

  @Test
  void samplesDependOnTheirSeedAloneAndStreamAsTheyAreWritten(@TempDir Path folder)
      throws Exception {
    Golden golden = Golden.open("llama3");
    Path prompts = Files.writeString(folder.resolve("p.txt"), "one\nzwölf 世界\nthree\n");
    Path result = folder.resolve("result.jsonl");
    List<String> sampled = new ArrayList<>(List.of("generate", "--model"));
    sampled.addAll(List.of(golden.model().toString(), "--prompt_file", prompts.toString()));
    sampled.addAll(List.of("--temperature", "0.8", "--top_p", "0.95", "--n", "2"));
    sampled.addAll(List.of("--max_new_tokens", "40", "--batch_invariant"));
    List<String> rows = new ArrayList<>(sampled);
    rows.addAll(List.of("--result_path", result.toString(), "--micro_batch_size", "4"));
    assertThat(run(rows, "")).isEmpty();
    StringBuilder expected = new StringBuilder();
    for (String line : Files.readAllLines(result)) {
      JsonNode row = parse(line);
      expected.append("> ").append(row.get("prompt").asText()).append('\n');
      expected.append(row.get("answer").asText()).append('\n');
    }
    assertThat(expected.toString().lines()).hasSizeGreaterThanOrEqualTo(12);
    sampled.addAll(List.of("--micro_batch_size", "1"));
    assertThat(run(sampled, "")).isEqualTo(expected.toString());
  }

  @Test
  void aChatFromAPipeAnswersEachLineUntilExit() throws Exception {
    Golden golden = Golden.open("qwen2");
    List<String> arguments = new ArrayList<>(List.of("generate", "--model"));
    arguments.addAll(List.of(golden.model().toString(), "--chat", "--max_new_tokens", "5"));
    String two = run(arguments, "Grüße\n\nagain\nexit\nnever read\n");
    String one = run(arguments, "Grüße\n");
    assertThat(two).startsWith(one).hasSizeGreaterThan(one.length());
    String cleared = run(arguments, "Grüße\nclear\nGrüße");
    assertThat(cleared).isEqualTo(one + one);
  }

  @Test
  void aReaderThatWentAwayEndsTheProgramAsABrokenPipeWould() throws Exception {
    Process process =
        start(
            arguments(
                Golden.open("qwen3"), "--temperature", "0.8", "--n", "500", "--prompt", "one"),
            Map.of());
    try (InputStream output = process.getInputStream()) {
      assertThat(output.read()).isEqualTo('{');
    }
    assertThat(process.waitFor()).isEqualTo(128 + 13);
  }

  @Test
  void aReaderThatWentAwayEndsAChatToo() throws Exception {
    String model = Golden.open("qwen2").model().toString();
    Process process =
        start(List.of("generate", "--model", model, "--chat", "--max_new_tokens", "5"), Map.of());
    // The program does not read to the end what the user says.
    OutputStream input = process.getOutputStream();
    input.write("one\n".repeat(500).getBytes(StandardCharsets.UTF_8));
    input.flush();
    try (InputStream output = process.getInputStream()) {
      assertThat(output.read()).isNotNegative();
    }
    assertThat(process.waitFor()).isEqualTo(128 + 13);
  }

  private static List<String> arguments(Golden golden, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of("generate", "--model", golden.model().toString(), "--format", "jsonl"));
    arguments.addAll(List.of("--ignore_eos", "true", "--threads", "2"));
    if (!Arrays.asList(more).contains("--max_new_tokens")) {
      arguments.addAll(List.of("--max_new_tokens", "12"));
    }
    arguments.addAll(Arrays.asList(more));
    return arguments;
  }

  private static List<JsonNode> generate(List<String> arguments)
      throws IOException, InterruptedException {
    return run(arguments, "", Map.of()).lines().map(GenerateCommandTest::parse).toList();
  }

  /** Runs the program where no locale says UTF-8, as in a container. */
  private static String run(List<String> arguments, String typed)
      throws IOException, InterruptedException {
    return run(arguments, typed, Map.of("LC_ALL", "C"));
  }

  /** Runs the program as a user does, with what the user types, and returns what it prints. */
  private static String run(List<String> arguments, String typed, Map<String, String> environment)
      throws IOException, InterruptedException {
    Process process = start(arguments, environment);
    try (OutputStream input = process.getOutputStream()) {
      input.write(typed.getBytes(StandardCharsets.UTF_8));
    }
    try (InputStream output = process.getInputStream()) {
      String text = new String(output.readAllBytes(), StandardCharsets.UTF_8);
      assertThat(process.waitFor()).isZero();
      return text;
    }
  }

  private static Process start(List<String> arguments, Map<String, String> environment)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of("--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(Redirect.INHERIT);
    builder.environment().putAll(environment);
    return builder.start();
  }

  private static JsonNode parse(String line) {
    try {
      return new ObjectMapper().readTree(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
