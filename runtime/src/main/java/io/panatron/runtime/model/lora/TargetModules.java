package io.panatron.runtime.model.lora;

import io.panatron.runtime.UserError;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Finds the modules of a model that get an adapter.
 *
 * <p>A module is meant by the end of its name, Megatron's or Hugging Face's. Megatron's names a
 * fused projection, which then has one A; Hugging Face's names the projections in it, each of which
 * has its own.
 */
public final class TargetModules {
  private static final String ALL_LINEAR = "all-linear";
  private static final String ALL_EMBEDDING = "all-embedding";
  private static final String ALL_ROUTER = "all-router";
  private static final String EMBEDDING = "model.embed_tokens";
  private static final Set<String> LINEAR =
      Set.of("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj");

  private final List<ParameterLayout> matrices;
  private final Set<String> unmatched = new LinkedHashSet<>();

  private TargetModules(ModelConfig config) {
    matrices =
        ParameterLayout.of(config).stream()
            .filter(layout -> layout.columns() > 0 && layout.name().endsWith(".weight"))
            .toList();
  }

  /**
   * The modules that {@code --target_modules} names.
   *
   * @throws UserError for a name that fits no module, or a module that cannot have an adapter
   */
  public static List<AdaptedModule> named(ModelConfig config, List<String> targets) {
    TargetModules modules = new TargetModules(config);
    modules.unmatched.addAll(targets);
    List<AdaptedModule> found =
        modules.find(
            module -> modules.matches(targets, ModuleNames.megatron(module), module),
            hfModule -> modules.matches(targets, hfModule, ""));
    if (!modules.unmatched.isEmpty()) {
      throw modules.unknown(modules.unmatched.iterator().next());
    }
    if (found.isEmpty()) {
      throw new UserError("--target_modules names no module; leave it out for all-linear.");
    }
    return found;
  }

  /**
   * The modules whose whole name, Megatron's or Hugging Face's, {@code --target_regex} matches.
   *
   * @throws UserError for an expression that is malformed or matches nothing
   */
  public static List<AdaptedModule> matching(ModelConfig config, String regex) {
    Pattern pattern = pattern("--target_regex", regex);
    List<AdaptedModule> found =
        new TargetModules(config)
            .find(
                module -> pattern.matcher(ModuleNames.megatron(module)).matches(),
                hfModule -> pattern.matcher(hfModule).matches());
    if (found.isEmpty()) {
      throw new UserError(
          ("--target_regex %s matches the whole name of no linear module, such as"
                  + " decoder.layers.0.self_attention.linear_qkv or %s; change it.")
              .formatted(regex, hfExample(config)));
    }
    return found;
  }

  /** The projections of exactly these Hugging Face names, each with an A of its own. */
  static List<AdaptedModule> exactly(ModelConfig config, Set<String> hfModules) {
    return new TargetModules(config).find(module -> false, hfModules::contains);
  }

  static Pattern pattern(String parameter, String regex) {
    try {
      return Pattern.compile(regex);
    } catch (PatternSyntaxException e) {
      throw new UserError(
          "%s '%s' is not a regular expression (%s); correct it."
              .formatted(parameter, regex, e.getDescription()),
          e);
    }
  }

  private static String hfExample(ModelConfig config) {
    TargetModules modules = new TargetModules(config);
    return modules.matrices.stream()
        .filter(layout -> isLinear(ModuleNames.module(layout.name())))
        .map(layout -> ModuleNames.module(layout.parts().getFirst().hfName()))
        .findFirst()
        .orElseThrow();
  }

  private static boolean isLinear(String module) {
    return LINEAR.stream().anyMatch(suffix -> ModuleNames.hasSuffix(module, suffix));
  }

  /** Whether a name is among the targets; the trainer's own name tells what {@code all-} means. */
  private boolean matches(List<String> targets, String name, String module) {
    boolean matched = false;
    for (String target : targets) {
      boolean meant =
          switch (target) {
            case ALL_LINEAR -> isLinear(module);
            case ALL_EMBEDDING -> module.equals(EMBEDDING);
            case ALL_ROUTER -> false;
            default -> ModuleNames.hasSuffix(name, target);
          };
      if (meant) {
        unmatched.remove(target);
        matched = true;
      }
    }
    return matched;
  }

  /**
   * @param fused whether a whole module of the trainer's name is meant
   * @param single whether a projection of this Hugging Face name is meant
   */
  private List<AdaptedModule> find(Predicate<String> fused, Predicate<String> single) {
    List<AdaptedModule> found = new ArrayList<>();
    for (ParameterLayout layout : matrices) {
      String module = ModuleNames.module(layout.name());
      List<AdaptedModule.Part> all = new ArrayList<>();
      List<AdaptedModule.Group> meant = new ArrayList<>();
      for (ParameterLayout.Part part : layout.parts()) {
        String hfModule = ModuleNames.module(part.hfName());
        var projection = new AdaptedModule.Part(hfModule, part.firstRow(), part.rows());
        all.add(projection);
        if (single.test(hfModule)) {
          meant.add(new AdaptedModule.Group(List.of(projection)));
        }
      }
      if (fused.test(module)) {
        meant = List.of(new AdaptedModule.Group(all));
      }
      if (!meant.isEmpty()) {
        found.add(adapted(layout, module, meant));
      }
    }
    return found;
  }

  private static AdaptedModule adapted(
      ParameterLayout layout, String module, List<AdaptedModule.Group> groups) {
    if (isLinear(module)) {
      return new AdaptedModule(module, false, layout.columns(), groups);
    }
    if (module.equals(EMBEDDING)) {
      String hfModule = groups.getFirst().parts().getFirst().hfModule();
      var columns = new AdaptedModule.Part(hfModule, 0, layout.columns());
      var group = new AdaptedModule.Group(List.of(columns));
      return new AdaptedModule(module, true, layout.rows(), List.of(group));
    }
    throw new UserError(
        "%s cannot have an adapter; train it whole with --modules_to_save %s."
            .formatted(
                groups.getFirst().parts().getFirst().hfModule(),
                ModuleNames.megatron(module).replaceFirst(".*\\.", "")));
  }

  private UserError unknown(String target) {
    if (target.equals(ALL_ROUTER)) {
      return new UserError(
          "--target_modules all-router is about mixtures of experts, and this model has no router;"
              + " drop it.");
    }
    Set<String> names = new TreeSet<>();
    for (ParameterLayout layout : matrices) {
      String module = ModuleNames.module(layout.name());
      if (isLinear(module) || module.equals(EMBEDDING)) {
        names.add(ModuleNames.megatron(module).replaceFirst(".*\\.", ""));
        layout.parts().stream()
            .map(part -> ModuleNames.module(part.hfName()).replaceFirst(".*\\.", ""))
            .forEach(names::add);
      }
    }
    return new UserError(
        "--target_modules %s fits no module of the model; it has all-linear, all-embedding, %s."
            .formatted(target, String.join(", ", names)));
  }
}
