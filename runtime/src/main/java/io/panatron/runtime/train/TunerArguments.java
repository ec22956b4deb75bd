package io.panatron.runtime.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.AdapterFiles;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.VocabularyGrowth;
import io.panatron.runtime.model.lora.AdapterPlan;
import io.panatron.runtime.model.lora.LoraSettings;
import io.panatron.runtime.model.lora.PartialTuning;
import io.panatron.runtime.model.lora.Tuning;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What the command line says of tuning, until the model is known.
 *
 * @param lora whether adapters are trained
 * @param targets {@code --target_modules} and {@code --target_regex}; null where neither was given
 *     and an adapter may decide
 * @param modulesToSave null where an adapter may decide
 * @param partial what of the model is frozen without adapters
 * @param adapter of {@code --adapters}, or null
 * @param merges whether merged models are saved
 */
record TunerArguments(
    boolean lora,
    @Nullable Targets targets,
    @Nullable List<String> modulesToSave,
    LoraSettings settings,
    PartialTuning partial,
    @Nullable Path adapter,
    boolean merges) {

  /** Which modules get an adapter; a regular expression overrides names. */
  record Targets(List<String> names, @Nullable String regex) {
    static final Targets DEFAULT = new Targets(List.of("all-linear"), null);
  }

  static TunerArguments of(ParsedArguments a) {
    boolean named = a.isGiven("target_modules") || a.textOrNull("target_regex") != null;
    List<String> adapters = a.list("adapters");
    Boolean merges = a.flagOrNull("merge_lora");
    return new TunerArguments(
        a.text("tuner_type").equals("lora"),
        named ? new Targets(a.list("target_modules"), a.textOrNull("target_regex")) : null,
        a.isGiven("modules_to_save") ? a.list("modules_to_save") : null,
        new LoraSettings(
            a.integer("lora_rank"),
            a.wholeNumber("lora_alpha"),
            a.number("lora_dropout"),
            a.text("lora_bias").equals("all"),
            a.flag("use_rslora")),
        new PartialTuning(
            a.number("freeze_parameters_ratio"),
            a.list("freeze_parameters"),
            a.textOrNull("freeze_parameters_regex"),
            a.list("trainable_parameters"),
            a.textOrNull("trainable_parameters_regex")),
        adapters.isEmpty() ? null : Path.of(adapters.getFirst()),
        merges == null || merges);
  }

  /**
   * The tuning of a model.
   *
   * @param checkpoint of {@code --adapter_load}, which goes before {@code --adapters}; else null
   */
  Tuning of(
      ModelConfig model,
      @Nullable Checkpoint checkpoint,
      VocabularyGrowth vocabulary,
      Consumer<String> say) {
    if (!lora) {
      return partial.of(model);
    }
    Path folder = checkpoint == null ? adapter : checkpoint.folder();
    if (folder == null) {
      Targets chosen = targets == null ? Targets.DEFAULT : targets;
      List<String> saved = modulesToSave == null ? List.of() : modulesToSave;
      return requireRows(plan(model, settings, chosen, saved, null), model, vocabulary);
    }
    AdapterFiles files = AdapterFiles.open(folder);
    LoraSettings effective = LoraSettings.of(files.config());
    if (!effective.equals(settings)) {
      say.accept("Adapter           its rank, alpha, dropout and bias are those of " + folder);
    }
    Targets chosen = targets != null || checkpoint == null ? targets : targets(checkpoint);
    List<String> saved = modulesToSave == null ? files.config().modulesToSave() : modulesToSave;
    AdapterPlan plan =
        chosen == null
            ? AdapterPlan.ofFile(model, effective, saved, files)
            : plan(model, effective, chosen, saved, files);
    return requireRows(plan, model, vocabulary);
  }

  private static AdapterPlan plan(
      ModelConfig model,
      LoraSettings settings,
      Targets targets,
      List<String> saved,
      @Nullable AdapterFiles files) {
    return targets.regex == null
        ? AdapterPlan.named(model, settings, targets.names, saved, files)
        : AdapterPlan.matching(model, settings, targets.regex, saved, files);
  }

  /** The modules that the run which made a checkpoint was given. */
  private static Targets targets(Checkpoint checkpoint) {
    ObjectNode saved = checkpoint.args();
    List<String> names = new ArrayList<>();
    for (JsonNode name : saved.path("target_modules")) {
      names.add(name.asText());
    }
    JsonNode regex = saved.path("target_regex");
    return new Targets(names, regex.isTextual() ? regex.textValue() : null);
  }

  /** The arguments with what an adapter decided, from which a later run goes on. */
  ParsedArguments effective(ParsedArguments arguments, ModelConfig model, Tuning tuning) {
    AdapterPlan plan = tuning.adapters();
    if (plan == null || plan.source() == null) {
      return arguments;
    }
    LoraSettings decided = plan.settings();
    ParsedArguments changed =
        arguments
            .with("lora_rank", decided.rank())
            .with("lora_alpha", Math.round(decided.alpha()))
            .with("lora_dropout", decided.dropout())
            .with("lora_bias", decided.trainsBiases() ? "all" : "none")
            .with("use_rslora", decided.rankStabilised())
            .with("modules_to_save", plan.savedModules());
    return targets != null
        ? changed
        : changed.with("target_modules", plan.targetNames(model)).with("target_regex", null);
  }

  /** New tokens have rows that the model does not have: an adapter must bring them along. */
  private static Tuning requireRows(
      AdapterPlan plan, ModelConfig model, VocabularyGrowth vocabulary) {
    boolean embedded = plan.trainedBase().contains("model.embed_tokens.weight");
    boolean headed = model.tieWordEmbeddings() || plan.trainedBase().contains("lm_head.weight");
    if (!vocabulary.isNone() && !(embedded && headed)) {
      throw new UserError(
          "--new_special_tokens adds rows to the embeddings, which an adapter alone does not hold; add"
              + " --modules_to_save word_embeddings output_layer.");
    }
    return Tuning.of(plan);
  }
}
