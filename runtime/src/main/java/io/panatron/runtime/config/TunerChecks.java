package io.panatron.runtime.config;

import static io.panatron.runtime.config.ArgumentChecks.refuse;

import java.util.List;
import java.util.Objects;

/** What must hold between the parameters of tuning. */
final class TunerChecks {
  private static final List<String> ADAPTER_PARAMETERS =
      List.of(
          "target_modules",
          "target_regex",
          "modules_to_save",
          "lora_rank",
          "lora_alpha",
          "lora_dropout",
          "lora_bias",
          "use_rslora",
          "merge_lora");
  private static final List<String> FULL_PARAMETERS =
      List.of(
          "freeze_parameters",
          "freeze_parameters_regex",
          "freeze_parameters_ratio",
          "trainable_parameters",
          "trainable_parameters_regex");

  private TunerChecks() {}

  static void check(ParsedArguments a) {
    boolean adapters = EffectiveDefaults.trainsAdapters(a);
    refuse(
        adapters && a.isGiven("tuner_type") && a.text("tuner_type").equals("full"),
        "--tuner_type full trains the model itself, and --adapters or --adapter_load goes on with an"
            + " adapter; drop one of them.");
    for (String name : adapters ? FULL_PARAMETERS : ADAPTER_PARAMETERS) {
      refuse(
          isChanged(a, name),
          adapters
              ? "--%s is for --tuner_type full, since adapters leave the model as it is; drop it."
                  .formatted(name)
              : "--%s is about adapters; add --tuner_type lora, or drop it.".formatted(name));
    }
    refuse(
        a.list("adapters").size() > 1,
        "--adapters names %d adapters, and a run trains one; keep one of them."
            .formatted(a.list("adapters").size()));
    refuse(
        a.textOrNull("target_regex") != null && a.isGiven("target_modules"),
        "--target_regex and --target_modules are two ways to choose modules; keep one of them.");
    boolean freezes =
        a.number("freeze_parameters_ratio") > 0
            || !a.list("freeze_parameters").isEmpty()
            || a.textOrNull("freeze_parameters_regex") != null;
    refuse(
        !freezes
            && (!a.list("trainable_parameters").isEmpty()
                || a.textOrNull("trainable_parameters_regex") != null),
        "--trainable_parameters names what is trained although frozen, and nothing is; add"
            + " --freeze_parameters_ratio 1 to train those alone.");
  }

  /** Whether the user asked for something else than the default. */
  private static boolean isChanged(ParsedArguments a, String name) {
    return a.parameters().stream()
        .filter(parameter -> parameter.name().equals(name))
        .anyMatch(parameter ->
            a.isGiven(name) && !Objects.equals(a.value(name), parameter.defaultValue()));
  }
}
