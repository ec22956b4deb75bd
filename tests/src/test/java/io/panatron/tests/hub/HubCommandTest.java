package io.panatron.tests.hub;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run whose model and data are names of the hub, from the command line to args.json. */
class HubCommandTest {
  private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
  private static final long LIMIT_SECONDS = 240;

  @TempDir Path folder;

  private static Path golden() throws URISyntaxException {
    return Path.of(
        Objects.requireNonNull(HubCommandTest.class.getResource("/golden/qwen3")).toURI());
  }

  /** Puts a file into the cache as the hub's Python client does. */
  private void cache(String repository, String path, Path content) throws IOException {
    Path root = folder.resolve("cache/hub").resolve(repository);
    Path blob = root.resolve("blobs").resolve("etag-of-" + path.replace('/', '-'));
    Path pointer = root.resolve("snapshots").resolve(COMMIT).resolve(path);
    Files.createDirectories(blob.getParent());
    Files.createDirectories(pointer.getParent());
    Files.createDirectories(root.resolve("refs"));
    Files.copy(content, blob);
    Files.createSymbolicLink(pointer, pointer.getParent().relativize(blob));
    Files.writeString(root.resolve("refs/main"), COMMIT);
  }

  @Test
  void aRunTakesModelAndDataFromTheCache() throws Exception {
    try (Stream<Path> files = Files.list(golden().resolve("model"))) {
      for (Path file : files.toList()) {
        cache("models--org--tiny", file.getFileName().toString(), file);
      }
    }
    cache(
        "datasets--org--rows", "data/train-00000-of-00001.jsonl", golden().resolve("train.jsonl"));
    Path save = folder.resolve("run");

    String output =
        trainer(
            "sft",
            "--use_hf",
            "true",
            "--model",
            "org/tiny",
            "--dataset",
            "org/rows#16",
            "--template",
            "chatml",
            "--train_iters",
            "1",
            "--global_batch_size",
            "2",
            "--save",
            save.toString(),
            "--add_version",
            "false",
            "--device",
            "cpu");

    assertThat(output).contains("org/rows#16 gives train-00000-of-00001.jsonl");
    JsonNode arguments = new ObjectMapper().readTree(save.resolve("args.json").toFile());
    assertThat(arguments.path("model").asText()).isEqualTo("org/tiny");
    assertThat(arguments.at("/dataset/0").asText()).isEqualTo("org/rows#16");
    assertThat(save.resolve("checkpoint-1/tokenizer.json"))
        .hasSameBinaryContentAs(golden().resolve("model/tokenizer.json"));
  }

  private String trainer(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-XX:+UseSerialGC",
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            "io.panatron.cli.Main"));
    command.addAll(List.of(arguments));
    File output = folder.resolve("output.txt").toFile();
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("HF_HOME", folder.resolve("cache").toString());
    builder.environment().put("HF_HUB_OFFLINE", "1");
    builder.environment().remove("HF_HUB_CACHE");
    Process process = builder.redirectOutput(output).start();
    try {
      assertThat(process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)).isTrue();
    } finally {
      process.destroyForcibly();
    }
    String text = Files.readString(output.toPath());
    assertThat(process.exitValue()).as(text).isZero();
    return text;
  }
}
