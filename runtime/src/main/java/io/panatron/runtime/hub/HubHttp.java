package io.panatron.runtime.hub;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.BoundedJson;
import java.io.IOException;
import java.net.ConnectException;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Requests to the hub: each is tried again, after pauses that double, where the failure may pass,
 * and ends after a bounded time. The token goes to the hub's own host alone, never to where it
 * sends on.
 */
final class HubHttp implements AutoCloseable {
  private static final int MOST_REDIRECTS = 5;
  private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
  private static final Set<Integer> PASSING = Set.of(408, 425, 429, 500, 502, 503, 504);
  private static final long MOST_PAUSE_SECONDS = 60;
  private static final int MOST_ANSWER_BYTES = 64 << 20;

  private final HubSettings settings;
  private final HttpClient client;

  HubHttp(HubSettings settings, @Nullable ProxySelector proxies) {
    this.settings = settings;
    HttpClient.Builder builder =
        HttpClient.newBuilder()
            .connectTimeout(settings.patience().connect())
            .followRedirects(HttpClient.Redirect.NEVER);
    if (proxies != null) {
      builder.proxy(proxies);
    }
    client = builder.build();
  }

  /** How a body arrives, watched while it does. */
  interface Transfer {
    /** Bytes that came so far; one that stands still too long is given up. */
    long received();

    /** What is still on its way is not wanted any more. */
    void abandon();
  }

  /** What the hub says of a repository at its revision. */
  ObjectNode describe(HubRepository repository) throws IOException, InterruptedException {
    String path = repository.descriptionPath();
    HubAnswers answers = new HubAnswers(repository, null);
    for (int attempt = 1; ; attempt++) {
      long pause;
      try {
        HttpResponse<byte[]> response =
            send(path, "GET", -1, info -> new LimitedBody(MOST_ANSWER_BYTES), null);
        if (response.statusCode() == 200) {
          return BoundedJson.parseObject(response.body(), settings.endpoint() + path);
        }
        pause = passing(answers, response, attempt);
      } catch (HubUnreachableException e) {
        throw e;
      } catch (IOException e) {
        pause = pauseAfter(e, attempt);
      }
      Thread.sleep(pause);
    }
  }

  /**
   * Asks for size and checksum of a file that the description of its repository did not give.
   *
   * @return the file with what the hub answered
   */
  HubFile head(HubRepository repository, String commit, HubFile file)
      throws IOException, InterruptedException {
    String path = repository.filePath(commit, file.path());
    HubAnswers answers = new HubAnswers(repository, file.path());
    for (int attempt = 1; ; attempt++) {
      long pause;
      try {
        HttpResponse<Void> response = once(resolve(path), "HEAD", -1, true, none(), null);
        int status = response.statusCode();
        if (status == 200 || REDIRECTS.contains(status)) {
          String etag =
              header(response, "X-Linked-Etag", header(response, "ETag", ""))
                  .replaceFirst("^W/", "")
                  .replace("\"", "");
          String large = HubListing.digest(etag, 64);
          return new HubFile(
              file.path(),
              Long.parseLong(
                  header(response, "X-Linked-Size", header(response, "Content-Length", "-1"))),
              large == null ? HubListing.digest(etag, 40) : large);
        }
        pause = passing(answers, response, attempt);
      } catch (NumberFormatException e) {
        throw new UserError(
            "The hub gives no usable size of %s in %s; check HF_ENDPOINT."
                .formatted(file.path(), repository.id()),
            e);
      } catch (HubUnreachableException e) {
        throw e;
      } catch (IOException e) {
        pause = pauseAfter(e, attempt);
      }
      Thread.sleep(pause);
    }
  }

  private static BodyHandler<Void> none() {
    return BodyHandlers.discarding();
  }

  static String header(HttpResponse<?> response, String name, String otherwise) {
    return response.headers().firstValue(name).orElse(otherwise);
  }

  /**
   * One try to fetch a file's bytes from {@code first} on.
   *
   * @param transfer watched until the answer is there
   */
  <T> HttpResponse<T> fetch(
      HubRepository repository,
      String commit,
      HubFile file,
      long first,
      BodyHandler<T> handler,
      Transfer transfer)
      throws IOException, InterruptedException {
    return send(repository.filePath(commit, file.path()), "GET", first, handler, transfer);
  }

  /** Milliseconds to wait before the next try of a request that was answered with a status. */
  long passing(HubAnswers answers, HttpResponse<?> response, int attempt)
      throws HubUnreachableException {
    int status = response.statusCode();
    if (!PASSING.contains(status)) {
      throw answers.refusal(settings, response);
    }
    if (attempt >= settings.patience().attempts()) {
      throw new HubUnreachableException(
          "%s answers %d after %d tries"
              .formatted(settings.endpoint(), status, settings.patience().attempts()),
          new IOException("status " + status));
    }
    String asked = header(response, "Retry-After", "");
    return asked.matches("\\d{1,6}")
        ? TimeUnit.SECONDS.toMillis(Math.min(Long.parseLong(asked), MOST_PAUSE_SECONDS))
        : pause(attempt);
  }

  /** As {@link #passing}, for one that was not answered. */
  long pauseAfter(IOException failure, int attempt) throws HubUnreachableException {
    if (attempt >= settings.patience().attempts()) {
      throw new HubUnreachableException(
          "%s cannot be reached, in %d tries: %s"
              .formatted(settings.endpoint(), settings.patience().attempts(), reason(failure)),
          failure);
    }
    return pause(attempt);
  }

  private long pause(int attempt) {
    long pause = settings.patience().pause().toMillis() << Math.min(attempt - 1, 20);
    return Math.min(pause, TimeUnit.SECONDS.toMillis(MOST_PAUSE_SECONDS));
  }

  private static String reason(IOException failure) {
    String message = failure.getMessage();
    if (failure instanceof ConnectException) {
      return "no connection" + (message == null ? "" : " (" + message + ")");
    }
    return message == null ? failure.getClass().getSimpleName() : message;
  }

  private <T> HttpResponse<T> send(
      String path, String method, long first, BodyHandler<T> handler, @Nullable Transfer transfer)
      throws IOException, InterruptedException {
    URI address = resolve(path);
    for (int i = 0; i <= MOST_REDIRECTS; i++) {
      HttpResponse<T> response =
          once(
              address,
              method,
              first,
              isHub(address),
              info ->
                  REDIRECTS.contains(info.statusCode())
                      ? HttpResponse.BodySubscribers.replacing(null)
                      : handler.apply(info),
              transfer);
      if (!REDIRECTS.contains(response.statusCode())) {
        return response;
      }
      URI next = target(address, header(response, "Location", ""));
      address = next;
    }
    throw new IOException("more than " + MOST_REDIRECTS + " redirections");
  }

  private static URI target(URI from, String location) throws IOException {
    try {
      URI next = from.resolve(location);
      boolean lessSafe = from.getScheme().equals("https") && !"https".equals(next.getScheme());
      if (next.getHost() != null && !lessSafe) {
        return next;
      }
    } catch (IllegalArgumentException e) {
      throw new IOException(from.getHost() + " sends on to what is no address", e);
    }
    throw new IOException(from.getHost() + " sends on to an address that is not safe");
  }

  private URI resolve(String path) {
    return URI.create(settings.endpoint() + path);
  }

  private boolean isHub(URI address) {
    URI hub = settings.endpoint();
    return hub.getScheme().equals(address.getScheme())
        && hub.getHost().equalsIgnoreCase(address.getHost())
        && hub.getPort() == address.getPort();
  }

  private <T> HttpResponse<T> once(
      URI address,
      String method,
      long first,
      boolean withToken,
      BodyHandler<T> handler,
      @Nullable Transfer transfer)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(address)
            .header("User-Agent", "panatron")
            .header("Accept-Encoding", "identity")
            .method(method, HttpRequest.BodyPublishers.noBody());
    if (withToken && settings.token() != null) {
      request.header("Authorization", "Bearer " + settings.token());
    }
    if (first > 0) {
      request.header("Range", "bytes=" + first + "-");
    }
    CompletableFuture<HttpResponse<T>> answer = client.sendAsync(request.build(), handler);
    try {
      return watched(answer, transfer);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException failure) {
        throw failure;
      }
      throw new IOException(String.valueOf(e.getCause()), e);
    } catch (CancellationException e) {
      throw new IOException("the transfer was broken off", e);
    } finally {
      answer.cancel(true);
      if (transfer != null) {
        transfer.abandon();
      }
    }
  }

  private <T> HttpResponse<T> watched(
      CompletableFuture<HttpResponse<T>> answer, @Nullable Transfer transfer)
      throws ExecutionException, InterruptedException, IOException {
    // The client's own limit would be one for the whole body from JDK 26 on.
    Duration silence = settings.patience().answer();
    long last = System.nanoTime();
    long before = 0;
    while (true) {
      try {
        return answer.get(100, TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        long received = transfer == null ? 0 : transfer.received();
        if (received != before) {
          before = received;
          last = System.nanoTime();
          silence = settings.patience().silence();
        } else if (System.nanoTime() - last > silence.toNanos()) {
          throw new HttpTimeoutException("no byte came for %d s".formatted(silence.toSeconds()));
        }
      }
    }
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}
