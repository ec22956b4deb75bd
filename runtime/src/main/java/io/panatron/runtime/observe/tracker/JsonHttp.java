package io.panatron.runtime.observe.tracker;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Requests and answers in JSON to one server. */
final class JsonHttp implements AutoCloseable {
  static final ObjectMapper JSON = new ObjectMapper();
  private static final int CONTENT_TOO_LARGE = 413;
  private static final Duration TIMEOUT = Duration.ofSeconds(20);
  private static final int SHOWN_ANSWER = 200;

  private final String base;
  private final HttpClient client;
  private final Map<String, String> headers = new LinkedHashMap<>();

  JsonHttp(String base) {
    this.base = base.replaceAll("/+$", "");
    client =
        HttpClient.newBuilder()
            .connectTimeout(TIMEOUT)
            .followRedirects(HttpClient.Redirect.NORMAL)
            .build();
    headers.put("User-Agent", "panatron");
  }

  String base() {
    return base;
  }

  /** Sends a header with every request from now on. */
  void header(String name, String value) {
    headers.put(name, value);
  }

  void removeHeader(String name) {
    headers.remove(name);
  }

  JsonNode get(String path) throws IOException, InterruptedException {
    return request("GET", path, null);
  }

  JsonNode post(String path, JsonNode body) throws IOException, InterruptedException {
    return request("POST", path, body);
  }

  JsonNode put(String path, JsonNode body) throws IOException, InterruptedException {
    return request("PUT", path, body);
  }

  /** A part of a path, such as the name of a project. */
  static String part(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }

  /**
   * One request.
   *
   * @return the answer; missing if it is empty or not JSON
   * @throws TooLargeException for status 413
   * @throws RefusedException for a status that a second try will not change
   * @throws IOException if there was no answer, or the server has trouble
   */
  private JsonNode request(String method, String path, @Nullable JsonNode body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(base + path))
            .timeout(TIMEOUT)
            .method(
                method,
                body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body.toString()));
    headers.forEach(request::header);
    if (body != null) {
      request.header("Content-Type", "application/json");
    }
    HttpResponse<String> response = client.send(request.build(), BodyHandlers.ofString());
    int status = response.statusCode();
    if (status / 100 == 2) {
      return parsed(response.body());
    }
    String problem =
        "%s%s answers %d: %s".formatted(base, path, status, shortened(response.body()));
    if (status == CONTENT_TOO_LARGE) {
      throw new TooLargeException(problem);
    }
    if (status / 100 == 4 && status != 408 && status != 429) {
      throw new RefusedException(problem);
    }
    throw new IOException(problem);
  }

  private static JsonNode parsed(String body) {
    try {
      return JSON.readTree(body);
    } catch (JsonProcessingException e) {
      return MissingNode.getInstance();
    }
  }

  private static String shortened(String body) {
    String line = body.strip().replaceAll("\\s+", " ");
    return line.length() <= SHOWN_ANSWER ? line : line.substring(0, SHOWN_ANSWER) + "…";
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}
