package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.nn.RecomputeModule;
import io.panatron.runtime.nn.RecomputePlan;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * {@code --recompute_granularity} and the parameters that belong to it, free of contradictions.
 *
 * <p>Source: {@code TransformerConfig} and {@code TransformerBlock} of Megatron-Core. What it
 * ignores under another granularity is refused here.
 *
 * @param granularity full, selective or none
 * @param method uniform or block under full, else null
 * @param numLayers under full: the layers of a unit (uniform) or of the block; else null
 * @param modules what selective recomputes
 */
public record RecomputeSettings(
    String granularity,
    @Nullable String method,
    @Nullable Integer numLayers,
    List<String> modules) {
  private static final List<String> DEFAULT_MODULES = List.of("core_attn");

  /** Keeps everything. */
  public static final RecomputeSettings NONE =
      new RecomputeSettings("none", null, null, DEFAULT_MODULES);

  /**
   * Checks the settings against each other.
   *
   * @throws UserError for a contradiction
   */
  public RecomputeSettings {
    modules = List.copyOf(modules);
    boolean full = granularity.equals("full");
    if (full && (method == null || numLayers == null)) {
      throw new UserError(
          ("--recompute_granularity full needs --recompute_method (uniform or block) and"
                  + " --recompute_num_layers, and %s; add %s.")
              .formatted(
                  method == null && numLayers == null ? "both are unset" : "one is unset",
                  method == null && numLayers == null
                      ? "both"
                      : method == null ? "--recompute_method" : "--recompute_num_layers"));
    }
    if (!full && (method != null || numLayers != null)) {
      throw new UserError(
          "%s is about --recompute_granularity full, which is %s here; take full or drop it."
              .formatted(
                  method != null
                      ? "--recompute_method " + method
                      : "--recompute_num_layers " + numLayers,
                  granularity));
    }
    if (!granularity.equals("selective") && !modules.equals(DEFAULT_MODULES)) {
      throw new UserError(
          ("--recompute_modules %s is about --recompute_granularity selective, which is %s here;"
                  + " take selective or drop it.")
              .formatted(String.join(" ", modules), granularity));
    }
  }

  static RecomputeSettings of(ParsedArguments arguments) {
    return new RecomputeSettings(
        arguments.text("recompute_granularity"),
        arguments.textOrNull("recompute_method"),
        arguments.integerOrNull("recompute_num_layers"),
        arguments.list("recompute_modules"));
  }

  /**
   * The plan for a model.
   *
   * @param layers of the model
   * @throws UserError if the layers cannot be divided as asked, or a module is unknown
   */
  public RecomputePlan planFor(int layers) {
    return switch (granularity) {
      case "none" -> RecomputePlan.NONE;
      case "selective" -> RecomputePlan.selective(modulesByName());
      case "full" -> full(layers, numLayers == null ? layers : numLayers);
      default ->
          throw new UserError(
              "--recompute_granularity cannot be '%s': its choices are full, selective, none."
                  .formatted(granularity));
    };
  }

  private RecomputePlan full(int layers, int count) {
    if (count > layers) {
      throw new UserError(
          "--recompute_num_layers %d is more than the model's %d layers; take at most %d."
              .formatted(count, layers, layers));
    }
    if ("block".equals(method)) {
      return RecomputePlan.block(count);
    }
    if (layers % count != 0) {
      String divisors =
          IntStream.rangeClosed(1, layers)
              .filter(n -> layers % n == 0)
              .mapToObj(Integer::toString)
              .collect(Collectors.joining(", "));
      throw new UserError(
          ("--recompute_num_layers %d does not divide the model's %d layers, which"
                  + " --recompute_method uniform cuts into equal units; take one of %s.")
              .formatted(count, layers, divisors));
    }
    return RecomputePlan.uniform(layers, count);
  }

  private Set<RecomputeModule> modulesByName() {
    Set<RecomputeModule> chosen = EnumSet.noneOf(RecomputeModule.class);
    for (String name : modules) {
      chosen.add(
          EnumSet.allOf(RecomputeModule.class).stream()
              .filter(module -> module.label().equals(name))
              .findFirst()
              .orElseThrow(() ->
                  new UserError(
                      "--recompute_modules %s is not supported; take core_attn, layernorm or mlp."
                          .formatted(name))));
    }
    return chosen;
  }
}
