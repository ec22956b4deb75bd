package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.data.source.DataFormat;
import java.io.PrintWriter;
import java.net.ProxySelector;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Turns names of the hub on the command line into files of this machine. A name that is a file or
 * folder here means that; only others are looked for on the hub, and only with {@code --use_hf
 * true} (or {@code USE_HF=1}), since the default hub of Megatron-SWIFT is another.
 */
public final class HubNames {
  private final boolean usesHub;
  private final @Nullable String revision;
  private final @Nullable String token;
  private final Map<String, String> environment;
  private final PrintWriter out;
  private final BooleanSupplier terminal;
  private final HubSettings.Patience patience;
  private @Nullable Hub hub;

  /**
   * @param environment variables of the process
   * @param out where the user reads what is fetched
   * @param terminal whether {@code out} is a terminal, which shows progress; asked only if
   *     something is fetched
   */
  public HubNames(
      ParsedArguments arguments,
      Map<String, String> environment,
      PrintWriter out,
      BooleanSupplier terminal) {
    this(
        arguments.flag("use_hf"),
        arguments.textOrNull("model_revision"),
        arguments.textOrNull("hub_token"),
        environment,
        out,
        terminal);
  }

  /** As above, from the parameters' values. */
  public HubNames(
      boolean usesHub,
      @Nullable String revision,
      @Nullable String token,
      Map<String, String> environment,
      PrintWriter out,
      BooleanSupplier terminal) {
    this(usesHub, revision, token, environment, out, terminal, HubSettings.Patience.USUAL);
  }

  HubNames(
      boolean usesHub,
      @Nullable String revision,
      @Nullable String token,
      Map<String, String> environment,
      PrintWriter out,
      BooleanSupplier terminal,
      HubSettings.Patience patience) {
    this.usesHub = usesHub || HubSettings.isTrue(environment.get("USE_HF"));
    this.revision = revision;
    this.token = token;
    this.environment = Map.copyOf(environment);
    this.out = out;
    this.terminal = terminal;
    this.patience = patience;
  }

  /**
   * The folder that {@code --model} means.
   *
   * @param option the parameter's name, for messages
   * @throws UserError where the hub has no such model, or cannot be asked
   */
  public Path model(String option, String given) {
    boolean here = exists(given);
    if (!here && usesHub && HubRepository.isId(given)) {
      return hub()
          .model(
              new HubRepository(
                  HubRepository.Kind.MODEL,
                  given,
                  revision == null ? HubRepository.MAIN : revision));
    }
    if (!here && isForeign(given)) {
      throw new UserError(
          "--%s %s is no folder here; add --use_hf true to fetch it from the Hugging Face hub, or give a folder (ModelScope, where the name would be looked for without it, is not supported)."
              .formatted(option, given));
    }
    if (revision != null) {
      throw new UserError(
          "--model_revision %s is about models of the hub, and --%s %s is a folder of this machine; leave it out%s."
              .formatted(revision, option, given, usesHub ? "" : ", or add --use_hf true"));
    }
    return Path.of(given);
  }

  /**
   * The files that values of {@code --dataset} mean.
   *
   * @param option the parameter's name, for messages
   * @return data files by the part of a value before its count; values that are files or folders
   *     here have no entry
   */
  public Map<String, List<Path>> datasets(String option, List<String> given) {
    Map<String, List<Path>> files = new LinkedHashMap<>();
    for (String value : given) {
      if (exists(value)) {
        continue;
      }
      String name = value.replaceFirst("#[0-9]*$", "");
      List<Path> found = dataset(option, name);
      if (found != null) {
        files.put(name, found);
      }
    }
    return files;
  }

  private @Nullable List<Path> dataset(String option, String name) {
    int prefix = name.indexOf("::");
    String which = prefix < 0 ? "" : name.substring(0, prefix).toLowerCase(Locale.ROOT);
    String rest = prefix < 0 ? name : name.substring(prefix + 2);
    int colon = rest.indexOf(':');
    String id = colon < 0 ? rest : rest.substring(0, colon);
    String subset = colon < 0 ? null : rest.substring(colon + 1);
    if (which.equals("ms")) {
      throw new UserError(
          "--%s %s names a data set of ModelScope, which is not supported; give HF::%s for the Hugging Face hub, or a file."
              .formatted(option, name, rest));
    }
    if (exists(rest) || exists(id) || !HubRepository.isId(id)) {
      return null;
    }
    if (which.isEmpty() && DataFormat.of(Path.of(id)) != null) {
      return null; // a file that is not there
    }
    if (!usesHub && !which.equals("hf")) {
      if (isForeign(id)) {
        throw new UserError(
            "--%s %s is no file or folder here; add --use_hf true to fetch it from the Hugging Face hub, or give a file (ModelScope, where the name would be looked for without it, is not supported)."
                .formatted(option, name));
      }
      return null;
    }
    if (subset != null && !subset.matches("[A-Za-z0-9][A-Za-z0-9 ._+-]*")) {
      throw new UserError(
          "--%s %s asks for the subset '%s'; name one subset of the data set."
              .formatted(option, name, subset));
    }
    return hub()
        .dataset(new HubRepository(HubRepository.Kind.DATASET, id, HubRepository.MAIN), subset);
  }

  /** Whether a text has the form organisation/name, and no folder here has that organisation's. */
  private static boolean isForeign(String text) {
    return text.contains("/")
        && HubRepository.isId(text)
        && !exists(text.substring(0, text.indexOf('/')));
  }

  private static boolean exists(String text) {
    try {
      return Files.exists(Path.of(text));
    } catch (InvalidPathException e) {
      return false;
    }
  }

  private Hub hub() {
    if (hub == null) {
      ProxySelector proxies = HubProxies.of(environment);
      hub =
          new Hub(
              HubSettings.of(environment, token, patience),
              new HubProgress(out, terminal.getAsBoolean()),
              proxies);
    }
    return hub;
  }
}
