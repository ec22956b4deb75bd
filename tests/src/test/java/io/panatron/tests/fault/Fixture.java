package io.panatron.tests.fault;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** The golden fixture that the fault tests train, read-only or copied. */
final class Fixture {
  private static final Path FOLDER = locate();

  private Fixture() {}

  private static Path locate() {
    URL resource = Objects.requireNonNull(Fixture.class.getResource("/golden/qwen3"));
    try {
      return Path.of(resource.toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  static Path model() {
    return FOLDER.resolve("model");
  }

  /** 16 conversations. */
  static Path rows() {
    return FOLDER.resolve("train.jsonl");
  }

  /** A copy of the model folder that a test may damage. */
  static Path copyModel(Path into) {
    try {
      Files.createDirectories(into);
      for (Path file : files(model())) {
        Files.copy(file, into.resolve(file.getFileName().toString()));
      }
      return into;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * A model folder of a million parameters without weights: initialised at random, and large enough
   * that writing a checkpoint of it takes a while.
   */
  static Path largerModel(Path into) {
    copyModel(into);
    try {
      Files.delete(into.resolve("model.safetensors"));
      String config = Files.readString(into.resolve("config.json"));
      Files.writeString(
          into.resolve("config.json"),
          config
              .replace("\"hidden_size\": 64", "\"hidden_size\": 128")
              .replace("\"intermediate_size\": 104", "\"intermediate_size\": 768"));
      return into;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What a folder holds, sorted; nothing where there is no folder. */
  static List<Path> files(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
