package io.panatron.tests.observe;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Eight iterations of {@code sft} on the golden fixture, every iteration logged. */
final class ShortRun {
  private static final ObjectMapper JSON = new ObjectMapper();

  private ShortRun() {}

  /** The words of the command; later options replace none of these. */
  static List<String> command(Path save, String... more) {
    Path fixture;
    try {
      fixture =
          Path.of(Objects.requireNonNull(ShortRun.class.getResource("/golden/qwen3")).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
    List<String> words = new ArrayList<>(List.of("sft", "--save", save.toString()));
    words.addAll(List.of("--model", fixture.resolve("model").toString()));
    words.addAll(List.of("--dataset", fixture.resolve("train.jsonl").toString()));
    words.addAll(List.of("--template", "chatml", "--add_version", "false"));
    words.addAll(List.of("--train_iters", "8", "--micro_batch_size", "1"));
    words.addAll(List.of("--global_batch_size", "4", "--log_interval", "1", "--lr", "1e-3"));
    words.addAll(List.of("--device", "cpu", "--threads", "2"));
    words.addAll(List.of(more));
    return words;
  }

  /** Runs it in this process. */
  static String train(Path save, String... more) {
    InProcess.Result result = InProcess.run(command(save, more));
    assertThat(result.status()).as(result.err()).isZero();
    return result.out();
  }

  /** The log rows of training steps, by iteration; later ones replace earlier. */
  static Map<Long, JsonNode> log(Path save) throws IOException {
    Map<Long, JsonNode> rows = new TreeMap<>();
    for (String line : Files.readAllLines(save.resolve("logging.jsonl"))) {
      JsonNode row = JSON.readTree(line);
      if (row.has("loss")) {
        rows.put(Long.parseLong(row.path("iteration").asText().split("/", 2)[0]), row);
      }
    }
    return rows;
  }

  static Set<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> file.getFileName().toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }
}
