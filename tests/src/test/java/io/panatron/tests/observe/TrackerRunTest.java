package io.panatron.tests.observe;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.panatron.cli.InProcess;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --report_to} from the command line to a server on this machine. */
class TrackerRunTest {
  private static final String RUN =
      """
      {"data": {"upsertBucket": {"bucket": {"name": "run1",
       "project": {"name": "megatron-swift", "entity": {"name": "team"}}}}}}
      """;
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;
  private final List<JsonNode> bodies = new CopyOnWriteArrayList<>();

  @Test
  void aServerGetsEveryRowAndTheEnd() throws Exception {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", this::answer);
    server.start();
    try {
      String out = train("http://localhost:" + server.getAddress().getPort());

      assertThat(out).contains("Reporting to ", "/team/megatron-swift/runs/run1");
    } finally {
      server.stop(0);
    }
    assertThat(bodies.getFirst().at("/variables/displayName").asText())
        .isEqualTo(folder.resolve("run").toString());
    List<Long> steps = new ArrayList<>();
    for (JsonNode body : bodies) {
      JsonNode lines = body.at("/files/wandb-history.jsonl");
      assertThat(lines.path("offset").asInt(steps.size())).isEqualTo(steps.size());
      for (JsonNode line : lines.path("content")) {
        steps.add(JSON.readTree(line.asText()).path("_step").asLong());
      }
    }
    assertThat(steps).containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L);
    assertThat(bodies.getLast().path("complete").asBoolean()).isTrue();
    assertThat(bodies.getLast().path("exitcode").asInt(1)).isZero();
  }

  @Test
  void aServerThatIsNotThereStopsNothingAndIsSaidOnce() throws Exception {
    String address;
    try (ServerSocket closed = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      address = "http://localhost:" + closed.getLocalPort();
    }

    String out = train(address);

    assertThat(out)
        .containsOnlyOnce("The tracker cannot be reached")
        .contains("8 log rows did not reach the tracker; logging.jsonl has them.");
    assertThat(folder.resolve("run/checkpoint-8")).isDirectory();
  }

  @Test
  void withoutAKeyNothingIsStarted() {
    InProcess.Result result =
        InProcess.run(ShortRun.command(folder.resolve("run"), "--report_to", "swanlab"));

    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).contains("set the environment variable SWANLAB_API_KEY");
    assertThat(folder.resolve("run")).doesNotExist();
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      bodies.add(JSON.readTree(exchange.getRequestBody()));
      boolean makes = exchange.getRequestURI().getPath().equals("/graphql");
      byte[] answer = (makes ? RUN : "{}").getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(200, answer.length);
      exchange.getResponseBody().write(answer);
    }
  }

  private String train(String server) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:+UseSerialGC", "--add-modules=jdk.incubator.vector"));
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), "io.panatron.cli.Main"));
    command.addAll(ShortRun.command(folder.resolve("run"), "--report_to", "wandb"));
    Path output = folder.resolve("output.txt");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
    builder.environment().put("WANDB_API_KEY", "secret");
    builder.environment().put("WANDB_BASE_URL", server);
    Process process = builder.start();
    try {
      assertThat(process.waitFor(240, TimeUnit.SECONDS)).isTrue();
      String said = Files.readString(output);
      assertThat(process.exitValue()).as(said).isZero();
      assertThat(said).doesNotContain("secret");
      return said;
    } finally {
      process.destroyForcibly();
    }
  }
}
