package io.panatron.runtime.observe.tracker;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.UserError;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where {@code --report_to} reports, from the environment variables that the trackers' own clients
 * read.
 *
 * @param server address of the server
 * @param workspace user or team; null takes the key's own
 */
public record TrackerAccount(
    Service service, String server, String apiKey, @Nullable String workspace) {

  /** The trackers that are known. */
  public enum Service {
    WANDB(
        "WANDB_API_KEY",
        "WANDB_BASE_URL",
        "WANDB_ENTITY",
        "WANDB_MODE",
        WandbTracker.PUBLIC_SERVER),
    SWANLAB(
        "SWANLAB_API_KEY",
        "SWANLAB_API_HOST",
        "SWANLAB_WORKSPACE",
        "SWANLAB_MODE",
        SwanlabTracker.PUBLIC_SERVER);

    private final String keyVariable;
    private final String serverVariable;
    private final String workspaceVariable;
    private final String modeVariable;
    private final String publicServer;

    Service(
        String keyVariable,
        String serverVariable,
        String workspaceVariable,
        String modeVariable,
        String publicServer) {
      this.keyVariable = keyVariable;
      this.serverVariable = serverVariable;
      this.workspaceVariable = workspaceVariable;
      this.modeVariable = modeVariable;
      this.publicServer = publicServer;
    }
  }

  private static final Set<String> SCHEMES = Set.of("http", "https");
  private static final Set<String> ONLINE = Set.of("online", "cloud");

  /**
   * Reads the variables.
   *
   * @param reportTo wandb or swanlab
   * @throws UserError if there is no key, or the mode is one without a server
   */
  public static TrackerAccount of(String reportTo, Map<String, String> environment) {
    Service service = reportTo.equals("wandb") ? Service.WANDB : Service.SWANLAB;
    String key = environment.getOrDefault(service.keyVariable, "").strip();
    if (key.isEmpty()) {
      throw new UserError(
          "--report_to %s needs your account's API key; set the environment variable %s, or leave --report_to out."
              .formatted(reportTo, service.keyVariable));
    }
    if (!key.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
      // Caught here, since Java's HTTP client would quote the key in its complaint.
      throw new UserError(
          "%s holds characters that no API key has, such as a space; set it to the key alone."
              .formatted(service.keyVariable));
    }
    String mode = environment.getOrDefault(service.modeVariable, "online");
    if (!ONLINE.contains(mode)) {
      throw new UserError(
          "%s=%s is not supported: rows go straight to the server; unset it, or leave --report_to out."
              .formatted(service.modeVariable, mode));
    }
    String workspace = environment.getOrDefault(service.workspaceVariable, "").strip();
    return new TrackerAccount(
        service, server(service, environment), key, workspace.isEmpty() ? null : workspace);
  }

  private static String server(Service service, Map<String, String> environment) {
    String server = environment.getOrDefault(service.serverVariable, "").strip();
    if (server.isEmpty()) {
      return service.publicServer;
    }
    try {
      URI address = new URI(server);
      String scheme = String.valueOf(address.getScheme()).toLowerCase(Locale.ROOT);
      if (address.getHost() != null && SCHEMES.contains(scheme)) {
        return server;
      }
    } catch (URISyntaxException e) {
      throw noAddress(service, server, e);
    }
    throw noAddress(service, server, null);
  }

  private static UserError noAddress(
      Service service, String server, @Nullable URISyntaxException cause) {
    return new UserError(
        "%s is '%s', which is no address of a server; write it like %s, or unset it."
            .formatted(service.serverVariable, server, service.publicServer),
        cause);
  }

  /** A run of this account that is not made yet. */
  Tracker tracker(JsonHttp http, String project, String name, String host, JsonNode config) {
    TrackerRun run = new TrackerRun(workspace, project, name, host, config);
    return switch (service) {
      case WANDB -> new WandbTracker(http, apiKey, run);
      case SWANLAB -> new SwanlabTracker(http, apiKey, run);
    };
  }

  /** Without the key, so that it cannot end up in a message. */
  @Override
  public String toString() {
    return service + " at " + server;
  }
}
