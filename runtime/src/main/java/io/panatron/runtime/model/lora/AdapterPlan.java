package io.panatron.runtime.model.lora;

import io.panatron.kernels.Shape;
import io.panatron.runtime.UserError;
import io.panatron.runtime.autograd.Adapter;
import io.panatron.runtime.checkpoint.AdapterConfig;
import io.panatron.runtime.checkpoint.AdapterFiles;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The adapters of a model, and what of the model itself is trained and saved beside them.
 *
 * @param modules that get an adapter
 * @param savedModules Hugging Face names of modules trained whole, in the order of the model
 * @param trainedBase names of the model's parameters that are trained: those of the saved modules,
 *     and biases
 * @param source where the adapters' weights come from; null where they are drawn
 */
public record AdapterPlan(
    LoraSettings settings,
    List<AdaptedModule> modules,
    List<String> savedModules,
    Set<String> trainedBase,
    @Nullable AdapterFiles source) {
  private static final String TIED = "model.embed_tokens.weight";

  public AdapterPlan {
    modules = List.copyOf(modules);
    savedModules = List.copyOf(savedModules);
    trainedBase = Set.copyOf(trainedBase);
  }

  /**
   * A plan for modules that were found.
   *
   * @param modulesToSave suffixes of module names, Megatron's or Hugging Face's
   * @throws UserError for a module to save that the model has not, or that has an adapter
   */
  public static AdapterPlan of(
      ModelConfig config,
      LoraSettings settings,
      List<AdaptedModule> modules,
      List<String> modulesToSave,
      @Nullable AdapterFiles source) {
    Set<String> unmatched = new LinkedHashSet<>(modulesToSave);
    Set<String> trained = new LinkedHashSet<>();
    Set<String> saved = new LinkedHashSet<>();
    for (ParameterLayout layout : ParameterLayout.of(config)) {
      String module = ModuleNames.module(layout.name());
      boolean whole = isMeant(layout, module, modulesToSave, unmatched, config);
      boolean bias = settings.trainsBiases() && layout.name().endsWith(".bias");
      if (whole && modules.stream().anyMatch(adapted -> adapted.module().equals(module))) {
        throw new UserError(
            "--modules_to_save trains %s whole, which --target_modules gives an adapter; name it in one of them."
                .formatted(ModuleNames.megatron(module)));
      }
      if (whole || bias) {
        trained.add(layout.name());
      }
      if (whole) {
        layout.parts().forEach(part -> saved.add(ModuleNames.module(part.hfName())));
        if (config.tieWordEmbeddings() && layout.name().equals(TIED)) {
          saved.add("lm_head");
        }
      }
    }
    if (!unmatched.isEmpty()) {
      throw new UserError(
          "--modules_to_save %s fits no module of the model; it has word_embeddings, output_layer, linear_qkv and others, or Hugging Face's names for them."
              .formatted(unmatched.iterator().next()));
    }
    return new AdapterPlan(settings, modules, List.copyOf(saved), trained, source);
  }

  /** As {@link #of}, for the modules that {@link TargetModules#named} finds. */
  public static AdapterPlan named(
      ModelConfig config,
      LoraSettings settings,
      List<String> targets,
      List<String> modulesToSave,
      @Nullable AdapterFiles source) {
    List<AdaptedModule> modules = TargetModules.named(config, targets);
    return of(config, settings, modules, modulesToSave, source);
  }

  /** As {@link #of}, for the modules that {@link TargetModules#matching} finds. */
  public static AdapterPlan matching(
      ModelConfig config,
      LoraSettings settings,
      String regex,
      List<String> modulesToSave,
      @Nullable AdapterFiles source) {
    List<AdaptedModule> modules = TargetModules.matching(config, regex);
    return of(config, settings, modules, modulesToSave, source);
  }

  /** As {@link #of}, for the very projections that an adapter's file has; each has its own A. */
  public static AdapterPlan ofFile(
      ModelConfig config, LoraSettings settings, List<String> modulesToSave, AdapterFiles source) {
    Set<String> hfModules = new LinkedHashSet<>();
    for (String name : source.names()) {
      for (String end : new String[] {".lora_A.weight", ".lora_embedding_A"}) {
        if (name.startsWith(AdaptedModule.PREFIX) && name.endsWith(end)) {
          int from = AdaptedModule.PREFIX.length();
          hfModules.add(name.substring(from, name.length() - end.length()));
        }
      }
    }
    List<AdaptedModule> modules = TargetModules.exactly(config, hfModules);
    return of(config, settings, modules, modulesToSave, source);
  }

  /** The plan of an adapter as its files describe it. */
  public static AdapterPlan ofFile(ModelConfig config, AdapterFiles source) {
    LoraSettings settings = LoraSettings.of(source.config());
    return ofFile(config, settings, source.config().modulesToSave(), source);
  }

  /** The adapter's configuration file. */
  public AdapterConfig config(ModelConfig model, String base) {
    return new AdapterConfig(
        base,
        settings.rank(),
        settings.alpha(),
        settings.dropout(),
        settings.trainsBiases(),
        settings.rankStabilised(),
        targetModules(),
        savedModules.stream().map(name -> name.replaceFirst(".*\\.", "")).distinct().toList(),
        model.family().transposesMatrices());
  }

  private static boolean isMeant(
      ParameterLayout layout,
      String module,
      List<String> suffixes,
      Set<String> unmatched,
      ModelConfig config) {
    boolean meant = false;
    for (String suffix : suffixes) {
      long parts =
          layout.parts().stream()
              .filter(part -> ModuleNames.hasSuffix(ModuleNames.module(part.hfName()), suffix))
              .count();
      boolean tied = config.tieWordEmbeddings() && layout.name().equals(TIED);
      boolean matches =
          ModuleNames.hasSuffix(ModuleNames.megatron(module), suffix)
              || parts == layout.parts().size()
              || (tied && (suffix.equals("output_layer") || suffix.equals("lm_head")));
      if (matches) {
        unmatched.remove(suffix);
        meant = true;
      } else if (parts > 0) {
        unmatched.remove(suffix);
        requireWhole(layout, suffix, suffixes);
      }
    }
    return meant || isWhole(layout, suffixes);
  }

  /** Whether the suffixes together name all projections of a fused one. */
  private static boolean isWhole(ParameterLayout layout, List<String> suffixes) {
    return !suffixes.isEmpty()
        && layout.parts().stream()
            .allMatch(part ->
                suffixes.stream()
                    .anyMatch(suffix ->
                        ModuleNames.hasSuffix(ModuleNames.module(part.hfName()), suffix)));
  }

  private static void requireWhole(ParameterLayout layout, String suffix, List<String> suffixes) {
    if (!isWhole(layout, suffixes)) {
      throw new UserError(
          "--modules_to_save %s is a part of %s, which is trained as a whole; name that, or all of its parts."
              .formatted(suffix, ModuleNames.megatron(ModuleNames.module(layout.name()))));
    }
  }

  /** The parameters that the adapters add to a model. */
  public List<FlatLayout.Spec> specs() {
    Map<String, FlatLayout.Spec> specs = new LinkedHashMap<>();
    for (ParameterLayout layout : adapterLayouts(false)) {
      specs.put(layout.name(), new FlatLayout.Spec(layout.name(), Shape.of(layout.shape())));
    }
    return List.copyOf(specs.values());
  }

  private List<ParameterLayout> adapterLayouts(boolean copies) {
    return modules.stream()
        .flatMap(module -> module.layouts(settings.rank(), copies).stream())
        .toList();
  }

  /** The tensors of {@code adapter_model.safetensors}. */
  public List<ParameterLayout> fileLayouts(ModelConfig config) {
    List<ParameterLayout> layouts = new ArrayList<>(adapterLayouts(true));
    for (ParameterLayout layout : ParameterLayout.of(config)) {
      if (trainedBase.contains(layout.name())) {
        layouts.add(prefixed(layout));
        if (config.tieWordEmbeddings() && layout.name().equals(TIED)) {
          String head = AdaptedModule.PREFIX + "lm_head.weight";
          var part = new ParameterLayout.Part(head, 0, layout.rows());
          layouts.add(new ParameterLayout(TIED, List.of(part), layout.columns()));
        }
      }
    }
    return layouts;
  }

  /** The trained parameters, each once: what optimizer state is saved of. */
  public List<ParameterLayout> stateLayouts(ModelConfig config) {
    List<ParameterLayout> layouts = new ArrayList<>(adapterLayouts(false));
    for (ParameterLayout layout : ParameterLayout.of(config)) {
      if (trainedBase.contains(layout.name())) {
        layouts.add(prefixed(layout));
      }
    }
    return layouts;
  }

  private ParameterLayout prefixed(ParameterLayout layout) {
    List<ParameterLayout.Part> parts =
        layout.parts().stream()
            .map(part ->
                new ParameterLayout.Part(
                    savedName(part.hfName()), part.firstRow(), part.rows(), part.transposed()))
            .toList();
    return new ParameterLayout(layout.name(), parts, layout.columns(), layout.split());
  }

  /** PEFT's name of a parameter of the model itself: that of an adapted module has a layer more. */
  private String savedName(String hfName) {
    String hfModule = ModuleNames.module(hfName);
    boolean adapted = modules.stream().anyMatch(m -> m.hfModules().contains(hfModule));
    return AdaptedModule.PREFIX
        + hfModule
        + (adapted ? ".base_layer" : "")
        + hfName.substring(hfModule.length());
  }

  /**
   * Refuses an adapter whose projections have an A of their own each, where they are to share one.
   *
   * @param file with the tensors of {@link #fileLayouts}
   */
  public void requireOneSharedA(ModelConfig config, SafetensorsFile file) {
    Map<String, SafetensorsTensor> first = new HashMap<>();
    for (ParameterLayout layout : fileLayouts(config)) {
      if (!layout.name().endsWith(".lora_A")) {
        continue;
      }
      for (ParameterLayout.Part part : layout.parts()) {
        SafetensorsTensor tensor = Objects.requireNonNull(file.tensor(part.hfName()));
        String row = layout.name() + " " + part.firstRow();
        SafetensorsTensor other = first.putIfAbsent(row, tensor);
        if (other != null && other.data().mismatch(tensor.data()) != -1) {
          throw new UserError(
              "%s has a lora_A of its own for %s and for %s, which --target_modules or --target_regex joins under one; leave these out to train the adapter as it is."
                  .formatted(file.path(), other.name(), tensor.name()));
        }
      }
    }
  }

  /** The ends of the names of all adapted projections, as PEFT's configuration lists them. */
  public List<String> targetModules() {
    return modules.stream()
        .flatMap(module -> module.hfModules().stream())
        .map(name -> name.replaceFirst(".*\\.", ""))
        .distinct()
        .sorted()
        .toList();
  }

  /** The adapter of a module over the parameters of a store, or null if the module has none. */
  public @Nullable Adapter adapter(String module, ParameterStore store) {
    return modules.stream()
        .filter(adapted -> adapted.module().equals(module))
        .findFirst()
        .map(adapted ->
            new Adapter(
                store.parameter(adapted.downName()),
                store.parameter(adapted.upName()),
                adapted.blocks(),
                settings.scale()))
        .orElse(null);
  }

  /** Names that {@link TargetModules#named} finds just these modules by, short ones if it can. */
  public List<String> targetNames(ModelConfig config) {
    List<String> whole =
        modules.stream()
            .flatMap(module ->
                module.shares()
                    ? Stream.of(ModuleNames.megatron(module.module()))
                    : module.hfModules().stream())
            .toList();
    List<String> ends =
        whole.stream().map(name -> name.replaceFirst(".*\\.", "")).distinct().toList();
    return TargetModules.named(config, ends).equals(modules) ? ends : whole;
  }

  /** Weights of the adapters alone. */
  public long adapterElements() {
    return specs().stream().mapToLong(spec -> spec.shape().elements()).sum();
  }

  /** A few words for the user. */
  public String describe() {
    long fused = modules.stream().filter(AdaptedModule::shares).count();
    return "rank %d, alpha %s, dropout %s%s on %d modules%s%s"
        .formatted(
            settings.rank(),
            settings.alpha() == Math.rint(settings.alpha())
                ? Long.toString((long) settings.alpha())
                : Double.toString(settings.alpha()),
            settings.dropout(),
            settings.rankStabilised() ? ", rank-stabilised" : "",
            modules.size(),
            fused > 0 ? " (%d fused, with one A each)".formatted(fused) : "",
            savedModules.isEmpty() ? "" : ", and whole: " + String.join(", ", savedModules));
  }
}
