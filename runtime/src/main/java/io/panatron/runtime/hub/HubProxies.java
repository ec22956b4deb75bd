package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The proxies that {@code HTTPS_PROXY}, {@code HTTP_PROXY} and {@code NO_PROXY} name. */
final class HubProxies extends ProxySelector {
  private final Map<String, Proxy> byScheme;
  private final List<String> direct;

  private HubProxies(Map<String, Proxy> byScheme, List<String> direct) {
    this.byScheme = Map.copyOf(byScheme);
    this.direct = List.copyOf(direct);
  }

  /** The selector of these variables; null where they name no proxy. */
  static @Nullable ProxySelector of(Map<String, String> environment) {
    String all = value(environment, "ALL_PROXY");
    String https = value(environment, "HTTPS_PROXY");
    String http = value(environment, "HTTP_PROXY");
    Proxy secure = proxy(https == null ? all : https);
    Proxy plain = proxy(http == null ? all : http);
    if (secure == Proxy.NO_PROXY && plain == Proxy.NO_PROXY) {
      return null;
    }
    String none = value(environment, "NO_PROXY");
    return new HubProxies(
        Map.of("https", secure, "http", plain),
        none == null
            ? List.of()
            : List.of(none.toLowerCase(Locale.ROOT).strip().split("\\s*,\\s*")));
  }

  private static @Nullable String value(Map<String, String> environment, String name) {
    String lower = environment.get(name.toLowerCase(Locale.ROOT));
    String value = lower == null || lower.isBlank() ? environment.get(name) : lower;
    return value == null || value.isBlank() ? null : value.strip();
  }

  private static Proxy proxy(@Nullable String address) {
    if (address == null) {
      return Proxy.NO_PROXY;
    }
    String full = address.contains("://") ? address : "http://" + address;
    try {
      URI uri = URI.create(full);
      if (uri.getHost() == null || !String.valueOf(uri.getScheme()).equals("http")) {
        throw new IllegalArgumentException("no http proxy");
      }
      int port = uri.getPort() < 0 ? 80 : uri.getPort();
      return new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved(uri.getHost(), port));
    } catch (IllegalArgumentException e) {
      throw new UserError(
          "The proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is not of the form http://host:port; mend or unset it.",
          e);
    }
  }

  @Override
  public List<Proxy> select(URI uri) {
    String host = String.valueOf(uri.getHost()).toLowerCase(Locale.ROOT);
    for (String suffix : direct) {
      String bare = suffix.replaceFirst("^\\*?\\.", "");
      if (suffix.equals("*") || host.equals(bare) || host.endsWith("." + bare)) {
        return List.of(Proxy.NO_PROXY);
      }
    }
    return List.of(byScheme.getOrDefault(uri.getScheme(), Proxy.NO_PROXY));
  }

  @Override
  public void connectFailed(URI uri, SocketAddress address, IOException failure) {
    // The request itself fails with the same cause and says so.
  }
}
