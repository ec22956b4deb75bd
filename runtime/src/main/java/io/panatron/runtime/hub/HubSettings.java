package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Where the hub is, who asks, and where its files are kept: the environment variables of the hub's
 * Python client, with the same defaults.
 *
 * @param endpoint {@code HF_ENDPOINT}, without a slash at its end
 * @param token {@code --hub_token}, {@code HF_TOKEN}, or what {@code hf auth login} has stored;
 *     null for none
 * @param cache {@code HF_HUB_CACHE}, else {@code HF_HOME/hub}
 * @param offline {@code HF_HUB_OFFLINE}: the cache alone is asked
 * @param patience how long to wait for the hub
 */
record HubSettings(
    URI endpoint, @Nullable String token, Path cache, boolean offline, Patience patience) {

  /**
   * How long to wait for the hub.
   *
   * @param connect for a connection
   * @param answer for the beginning of an answer
   * @param silence for the next bytes of a file
   * @param attempts of a request that brings nothing, the first included
   * @param pause before the second attempt; doubles with each further one
   */
  record Patience(
      Duration connect, Duration answer, Duration silence, int attempts, Duration pause) {
    static final Patience USUAL =
        new Patience(
            Duration.ofSeconds(10),
            Duration.ofSeconds(30),
            Duration.ofSeconds(30),
            5,
            Duration.ofSeconds(1));
  }

  /** Shows no token. */
  @Override
  public String toString() {
    return "HubSettings[" + endpoint + ", " + cache + ", offline " + offline + "]";
  }

  static HubSettings of(
      Map<String, String> environment, @Nullable String givenToken, Patience patience) {
    Path home = home(environment);
    String named = environment.getOrDefault("HF_ENDPOINT", "");
    String endpoint = named.isBlank() ? "https://huggingface.co" : named.strip();
    URI uri;
    try {
      uri = URI.create(endpoint.replaceAll("/+$", ""));
    } catch (IllegalArgumentException e) {
      throw badEndpoint(endpoint, e);
    }
    if (uri.getHost() == null || !String.valueOf(uri.getScheme()).matches("https?")) {
      throw badEndpoint(endpoint, null);
    }
    return new HubSettings(
        uri,
        token(environment, givenToken, home),
        cache(environment, home),
        isTrue(environment.get("HF_HUB_OFFLINE"))
            || isTrue(environment.get("TRANSFORMERS_OFFLINE")),
        patience);
  }

  private static UserError badEndpoint(String endpoint, @Nullable Throwable cause) {
    return new UserError(
        "HF_ENDPOINT is %s, which is no address like https://huggingface.co; mend or unset it."
            .formatted(endpoint),
        cause);
  }

  private static Path home(Map<String, String> environment) {
    String given = environment.get("HF_HOME");
    if (given != null && !given.isBlank()) {
      return path(environment, given);
    }
    String cache = environment.get("XDG_CACHE_HOME");
    return path(environment, cache == null || cache.isBlank() ? "~/.cache" : cache)
        .resolve("huggingface");
  }

  private static Path cache(Map<String, String> environment, Path home) {
    for (String name : new String[] {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
      String given = environment.get(name);
      if (given != null && !given.isBlank()) {
        return path(environment, given);
      }
    }
    return home.resolve("hub");
  }

  private static Path path(Map<String, String> environment, String text) {
    boolean home = text.equals("~") || text.startsWith("~/");
    return Path.of(home ? environment.getOrDefault("HOME", ".") + text.substring(1) : text)
        .toAbsolutePath()
        .normalize();
  }

  static boolean isTrue(@Nullable String text) {
    return text != null && text.strip().toUpperCase(Locale.ROOT).matches("1|ON|YES|TRUE");
  }

  private static @Nullable String token(
      Map<String, String> environment, @Nullable String given, Path home) {
    if (given != null && !given.isBlank()) {
      return checked("--hub_token", given);
    }
    if (isTrue(environment.get("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) {
      return null;
    }
    for (String name : new String[] {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
      String token = environment.get(name);
      if (token != null && !token.isBlank()) {
        return checked(name, token);
      }
    }
    String file = environment.get("HF_TOKEN_PATH");
    Path stored = file == null || file.isBlank() ? home.resolve("token") : path(environment, file);
    if (!Files.isRegularFile(stored)) {
      return null;
    }
    try {
      String token = Files.readString(stored);
      return token.isBlank() ? null : checked(stored.toString(), token);
    } catch (IOException e) {
      throw new UserError(
          "The stored hub token %s cannot be read (%s); mend the file's rights or give --hub_token."
              .formatted(stored, e.getClass().getSimpleName()),
          e);
    }
  }

  private static String checked(String source, String token) {
    String bare = token.strip();
    if (!bare.matches("[\\x21-\\x7e]{1,512}")) {
      throw new UserError(
          "The hub token of %s has characters that no token has; copy it again.".formatted(source));
    }
    return bare;
  }
}
