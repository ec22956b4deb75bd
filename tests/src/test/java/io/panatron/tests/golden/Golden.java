package io.panatron.tests.golden;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Objects;

/** One golden fixture: a model folder, its data, and the numbers PyTorch computed from them. */
record Golden(String name, Path folder, JsonNode numbers) {

  static Golden open(String name) {
    URL resource = Objects.requireNonNull(Golden.class.getResource("/golden/" + name), name);
    try {
      Path folder = Path.of(resource.toURI());
      JsonNode numbers = new ObjectMapper().readTree(folder.resolve("golden.json").toFile());
      return new Golden(name, folder, numbers);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  Path model() {
    return folder.resolve("model");
  }

  Path rows() {
    return folder.resolve("train.jsonl");
  }

  JsonNode at(String... path) {
    JsonNode node = numbers;
    for (String key : path) {
      node = Objects.requireNonNull(node.get(key), key);
    }
    return node;
  }

  static int[] ints(JsonNode array) {
    int[] values = new int[array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i).asInt();
    }
    return values;
  }
}
