package io.panatron.runtime.hub;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A server that answers as the hub does: descriptions of repositories, small files itself, large
 * ones (here: safetensors and parquet) by sending on to a second server, which stands for the
 * content network. What shall go wrong is told beforehand, answer by answer.
 */
final class FakeHub implements AutoCloseable {
  static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

  /** One request: to which of the two servers, for what, and with which headers. */
  record Seen(boolean hub, String method, String path, String token, String range) {}

  /** What goes wrong with one answer for a file. */
  enum Fault {
    /** The connection ends in the middle. */
    CUT,
    /** Other bytes of the same number. */
    WRONG_BYTES,
    /** Nothing comes after the first half. */
    STALL,
    /** 503. */
    BUSY,
    /** The whole file, whatever range was asked for. */
    NO_RANGES
  }

  final List<Seen> seen = new CopyOnWriteArrayList<>();
  final Map<String, Map<String, byte[]>> repositories = new ConcurrentHashMap<>();
  final Map<String, Deque<Fault>> faults = new ConcurrentHashMap<>();

  /** Repositories that only this token may read; the empty token is anybody's. */
  final Map<String, String> gates = new HashMap<>();

  /** Whether the description leaves checksums out, as mirrors do. */
  boolean bareDescriptions;

  private final HttpServer hub;
  private final HttpServer content;
  private final ExecutorService threads = Executors.newCachedThreadPool();

  FakeHub() {
    try {
      InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
      hub = HttpServer.create(any, 0);
      content = HttpServer.create(any, 0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    hub.createContext("/", exchange -> guarded(exchange, true));
    content.createContext("/", exchange -> guarded(exchange, false));
    hub.setExecutor(threads);
    content.setExecutor(threads);
    hub.start();
    content.start();
  }

  String endpoint() {
    return "http://localhost:" + hub.getAddress().getPort();
  }

  /** Adds files to a repository: {@code models/org/name} or {@code datasets/org/name}. */
  FakeHub with(String repository, String path, byte[] bytes) {
    repositories.computeIfAbsent(repository, r -> new TreeMap<>()).put(path, bytes);
    return this;
  }

  FakeHub with(String repository, String path, String text) {
    return with(repository, path, text.getBytes(StandardCharsets.UTF_8));
  }

  /** The next answers with this file go wrong so. */
  void fail(String path, Fault... answers) {
    faults.put(path, new ArrayDeque<>(Arrays.asList(answers)));
  }

  long requests(String end) {
    return seen.stream().filter(s -> s.path().endsWith(end)).count();
  }

  @Override
  public void close() {
    hub.stop(0);
    content.stop(0);
    threads.shutdownNow();
  }

  private void guarded(HttpExchange exchange, boolean ofHub) throws IOException {
    try (exchange) {
      String path =
          URLDecoder.decode(exchange.getRequestURI().getRawPath(), StandardCharsets.UTF_8);
      String token = header(exchange, "Authorization");
      seen.add(
          new Seen(ofHub, exchange.getRequestMethod(), path, token, header(exchange, "Range")));
      if (path.startsWith("/api/")) {
        describe(exchange, path.substring("/api/".length()), token);
      } else {
        file(exchange, path.substring(1), token, ofHub);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static String header(HttpExchange exchange, String name) {
    String value = exchange.getRequestHeaders().getFirst(name);
    return value == null ? "" : value;
  }

  private boolean refused(HttpExchange exchange, String repository, String token)
      throws IOException {
    if (!repositories.containsKey(repository)) {
      return error(exchange, token.isEmpty() ? 401 : 404, "RepoNotFound");
    }
    String needed = gates.get(repository);
    if (needed != null && !token.equals("Bearer " + needed)) {
      return error(exchange, token.isEmpty() ? 401 : 403, "GatedRepo");
    }
    return false;
  }

  private static boolean error(HttpExchange exchange, int status, String code) throws IOException {
    exchange.getResponseHeaders().add("X-Error-Code", code);
    exchange.sendResponseHeaders(status, -1);
    return true;
  }

  private void describe(HttpExchange exchange, String path, String token) throws IOException {
    int cut = path.indexOf("/revision/");
    String repository = path.substring(0, cut);
    String revision = path.substring(cut + "/revision/".length());
    if (refused(exchange, repository, token)) {
      return;
    }
    if (!List.of("main", "v1", COMMIT).contains(revision)) {
      error(exchange, 404, "RevisionNotFound");
      return;
    }
    ObjectNode answer = new ObjectMapper().createObjectNode().put("sha", COMMIT);
    ArrayNode siblings = answer.putArray("siblings");
    repositories
        .get(repository)
        .forEach((name, bytes) -> {
          ObjectNode sibling = siblings.addObject().put("rfilename", name);
          if (!bareDescriptions) {
            sibling.put("size", bytes.length).put("blobId", gitName(bytes));
            if (isLarge(name)) {
              sibling
                  .putObject("lfs")
                  .put("sha256", sha("SHA-256", bytes))
                  .put("size", bytes.length);
            }
          }
        });
    byte[] body = answer.toString().getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(200, body.length);
    exchange.getResponseBody().write(body);
  }

  private void file(HttpExchange exchange, String path, String token, boolean ofHub)
      throws IOException, InterruptedException {
    int cut = path.indexOf("/resolve/");
    String plain = path.substring(0, cut);
    String repository = plain.startsWith("datasets/") ? plain : "models/" + plain;
    String name = path.substring(path.indexOf('/', cut + "/resolve/".length()) + 1);
    if (ofHub && refused(exchange, repository, token)) {
      return;
    }
    byte[] bytes = repositories.get(repository).get(name);
    if (bytes == null) {
      error(exchange, 404, "EntryNotFound");
      return;
    }
    if (ofHub) {
      exchange.getResponseHeaders().add("X-Repo-Commit", COMMIT);
      exchange.getResponseHeaders().add("ETag", '"' + etag(name, bytes) + '"');
      if (isLarge(name)) {
        exchange.getResponseHeaders().add("X-Linked-Etag", '"' + etag(name, bytes) + '"');
        exchange.getResponseHeaders().add("X-Linked-Size", bytes.length + "");
        exchange
            .getResponseHeaders()
            .add("Location", "http://127.0.0.1:" + content.getAddress().getPort() + "/" + path);
        exchange.sendResponseHeaders(302, -1);
        return;
      }
    }
    if (exchange.getRequestMethod().equals("HEAD")) {
      exchange.getResponseHeaders().add("Content-Length", bytes.length + "");
      exchange.sendResponseHeaders(200, -1);
      return;
    }
    send(exchange, name, bytes);
  }

  private void send(HttpExchange exchange, String name, byte[] bytes)
      throws IOException, InterruptedException {
    Deque<Fault> planned = faults.getOrDefault(name, new ArrayDeque<>());
    Fault fault = planned.poll();
    if (fault == Fault.BUSY) {
      exchange.sendResponseHeaders(503, -1);
      return;
    }
    String range = header(exchange, "Range");
    int first =
        range.isEmpty() || fault == Fault.NO_RANGES
            ? 0
            : Integer.parseInt(range.replaceAll("bytes=(\\d+)-", "$1"));
    if (first >= bytes.length && first > 0) {
      exchange.sendResponseHeaders(416, -1);
      return;
    }
    byte[] sent = Arrays.copyOfRange(bytes, first, bytes.length);
    if (fault == Fault.WRONG_BYTES) {
      sent[sent.length / 2] ^= 1;
    }
    exchange.sendResponseHeaders(first == 0 ? 200 : 206, sent.length);
    OutputStream out = exchange.getResponseBody();
    boolean half = fault == Fault.CUT || fault == Fault.STALL;
    out.write(sent, 0, half ? sent.length / 2 : sent.length);
    out.flush();
    if (fault == Fault.STALL) {
      Thread.sleep(30_000); // until the server is closed
    }
    if (half) {
      throw new IOException("cut as planned");
    }
  }

  static boolean isLarge(String name) {
    return name.endsWith(".safetensors") || name.endsWith(".parquet");
  }

  static String etag(String name, byte[] bytes) {
    return isLarge(name) ? sha("SHA-256", bytes) : gitName(bytes);
  }

  private static String gitName(byte[] bytes) {
    byte[] head = ("blob " + bytes.length + "\0").getBytes(StandardCharsets.UTF_8);
    byte[] whole = Arrays.copyOf(head, head.length + bytes.length);
    System.arraycopy(bytes, 0, whole, head.length, bytes.length);
    return sha("SHA-1", whole);
  }

  private static String sha(String algorithm, byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance(algorithm).digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
