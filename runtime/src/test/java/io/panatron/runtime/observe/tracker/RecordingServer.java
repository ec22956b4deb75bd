package io.panatron.runtime.observe.tracker;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;

/** A server on this machine that records what it gets and answers what it is told to. */
public final class RecordingServer implements AutoCloseable {
  private final HttpServer server;
  private final Function<String, Answer> answers;
  private final List<Request> requests = new CopyOnWriteArrayList<>();

  /** A request, with its headers' names in lower case. */
  public record Request(String call, Map<String, String> headers, JsonNode body) {}

  /** An answer. */
  public record Answer(int status, String body) {}

  private RecordingServer(HttpServer server, Function<String, Answer> answers) {
    this.server = server;
    this.answers = answers;
  }

  /**
   * Starts.
   *
   * @param answers by call, such as {@code POST /graphql}
   */
  public static RecordingServer start(Function<String, Answer> answers) throws IOException {
    HttpServer http =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    RecordingServer recording = new RecordingServer(http, answers);
    http.createContext("/", recording::answer);
    http.start();
    return recording;
  }

  /** As wandb answers: the run it was asked for, of entity {@code team}. */
  public static Answer wandb(String call) {
    return call.equals("POST /graphql")
        ? new Answer(
            200,
            """
            {"data": {"upsertBucket": {"bucket": {"name": "run1",
             "project": {"name": "my project", "entity": {"name": "team"}}}}}}
            """)
        : new Answer(200, "{}");
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String call = exchange.getRequestMethod() + " " + exchange.getRequestURI().getRawPath();
      String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      Map<String, String> headers = new java.util.TreeMap<>();
      exchange
          .getRequestHeaders()
          .forEach((name, values) ->
              headers.put(name.toLowerCase(java.util.Locale.ROOT), values.getFirst()));
      requests.add(new Request(call, headers, JsonHttp.JSON.readTree(body)));
      Answer answer = answers.apply(call);
      byte[] bytes = answer.body().getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(answer.status(), bytes.length == 0 ? -1 : bytes.length);
      exchange.getResponseBody().write(bytes);
    }
  }

  public String address() {
    return "http://localhost:" + server.getAddress().getPort();
  }

  public List<Request> requests() {
    return List.copyOf(requests);
  }

  /** The calls, in the order they came. */
  public List<String> calls() {
    return requests.stream().map(Request::call).toList();
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
