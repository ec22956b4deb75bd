package io.panatron.runtime.model.lora;

import io.panatron.runtime.UserError;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which parameters of a model are frozen, by share, by the beginnings of their names, and by
 * regular expression; and which are trained all the same.
 *
 * <p>Names are Megatron's or Hugging Face's. A fused projection is trained or frozen as a whole.
 * Source: Megatron-SWIFT, {@code freeze_parameters} and {@code activate_parameters}.
 *
 * @param frozenShare of all elements, from the embedding on; the parameters within it are frozen
 * @param frozenPrefixes beginnings of names
 * @param frozenRegex found anywhere in a name
 * @param trainedPrefixes of parameters that are trained although frozen by the others
 * @param trainedRegex likewise
 */
public record PartialTuning(
    double frozenShare,
    List<String> frozenPrefixes,
    @Nullable String frozenRegex,
    List<String> trainedPrefixes,
    @Nullable String trainedRegex) {

  private static final PartialTuning FULL = new PartialTuning(0, List.of(), null, List.of(), null);

  public PartialTuning {
    frozenPrefixes = List.copyOf(frozenPrefixes);
    trainedPrefixes = List.copyOf(trainedPrefixes);
  }

  /** Whether everything is trained. */
  public boolean isFull() {
    return equals(FULL);
  }

  /**
   * The tuning of a model.
   *
   * @throws UserError for a name or expression that fits no parameter, or a part of a fused one,
   *     and where nothing is left to train
   */
  public Tuning of(ModelConfig config) {
    List<ParameterLayout> parameters = ParameterLayout.of(config);
    Set<String> frozen = new LinkedHashSet<>(lowest(parameters));
    for (String prefix : frozenPrefixes) {
      frozen.addAll(meant("--freeze_parameters " + prefix, parameters, beginsWith(prefix)));
    }
    if (frozenRegex != null) {
      frozen.addAll(found("--freeze_parameters_regex", frozenRegex, parameters));
    }
    for (String prefix : trainedPrefixes) {
      frozen.removeAll(meant("--trainable_parameters " + prefix, parameters, beginsWith(prefix)));
    }
    if (trainedRegex != null) {
      frozen.removeAll(found("--trainable_parameters_regex", trainedRegex, parameters));
    }
    if (frozen.size() == parameters.size()) {
      throw new UserError(
          "every parameter is frozen, so there is nothing to train; freeze fewer, or name some with"
              + " --trainable_parameters.");
    }
    return new Tuning(frozen, null);
  }

  /** The parameters that lie wholly within the frozen share. */
  private List<String> lowest(List<ParameterLayout> parameters) {
    long all = parameters.stream().mapToLong(ParameterLayout::elements).sum();
    long limit = (long) (all * frozenShare);
    List<String> names = new ArrayList<>();
    long sum = 0;
    for (ParameterLayout parameter : parameters) {
      sum += parameter.elements();
      if (frozenShare == 0 || sum > limit) {
        break;
      }
      names.add(parameter.name());
    }
    return names;
  }

  private static Predicate<String> beginsWith(String prefix) {
    return name -> name.startsWith(prefix);
  }

  private static List<String> found(
      String parameter, String regex, List<ParameterLayout> parameters) {
    Pattern pattern = TargetModules.pattern(parameter, regex);
    return meant(parameter + " " + regex, parameters, name -> pattern.matcher(name).find());
  }

  private static List<String> meant(
      String given, List<ParameterLayout> parameters, Predicate<String> test) {
    List<String> names = new ArrayList<>();
    for (ParameterLayout parameter : parameters) {
      List<String> megatron = ModuleNames.megatronParameters(parameter.name());
      long parts = parameter.parts().stream().filter(part -> test.test(part.hfName())).count();
      if (megatron.stream().anyMatch(test) || parts == parameter.parts().size()) {
        names.add(parameter.name());
      } else if (parts > 0) {
        throw new UserError(
            "%s fits only a part of %s, which is trained or frozen as a whole; name that instead."
                .formatted(given, megatron.getFirst()));
      }
    }
    if (names.isEmpty()) {
      throw new UserError(
          "%s fits no parameter of the model; names are such as %s or %s."
              .formatted(
                  given,
                  ModuleNames.megatronParameters(parameters.getLast().name()).getFirst(),
                  parameters.getFirst().parts().getFirst().hfName()));
    }
    return names;
  }
}
