package io.panatron.runtime.model.lora;

import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.TensorParallel;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which parameters a run trains: all of a model, all but some, or adapters beside a frozen model.
 *
 * @param frozen names of the model's parameters that are not trained; with adapters, those are all
 *     but what the plan trains
 * @param adapters null without any
 */
public record Tuning(Set<String> frozen, @Nullable AdapterPlan adapters) {
  /** Trains every parameter. */
  public static final Tuning FULL = new Tuning(Set.of(), null);

  public Tuning {
    frozen = Set.copyOf(frozen);
  }

  /** Trains adapters and what their plan names. */
  public static Tuning of(AdapterPlan adapters) {
    return new Tuning(Set.of(), adapters);
  }

  /** Whether a parameter of the model itself is trained. */
  public boolean trains(String parameter) {
    return adapters == null
        ? !frozen.contains(parameter)
        : adapters.trainedBase().contains(parameter);
  }

  /** The parameters of the tuned model, in the order of the weight files, adapters last. */
  public List<FlatLayout.Spec> specs(ModelConfig config) {
    return specs(config, TensorParallel.NONE);
  }

  /** As above, of one rank among those that share the model's matrices. */
  public List<FlatLayout.Spec> specs(ModelConfig config, TensorParallel parallel) {
    List<FlatLayout.Spec> specs = new ArrayList<>();
    for (FlatLayout.Spec spec : ModelBuilder.specs(config, parallel)) {
      specs.add(spec.withTraining(trains(spec.name())));
    }
    if (adapters != null) {
      specs.addAll(adapters.specs());
    }
    return specs;
  }

  /** The trained parameters and what files call them: what optimizer state is saved of. */
  public List<ParameterLayout> stateLayouts(ModelConfig config) {
    return adapters == null
        ? ParameterLayout.of(config).stream().filter(layout -> trains(layout.name())).toList()
        : adapters.stateLayouts(config);
  }

  /** Elements of the trained parameters. */
  public long trainedElements(ModelConfig config) {
    return specs(config).stream()
        .filter(FlatLayout.Spec::trained)
        .mapToLong(spec -> spec.shape().elements())
        .sum();
  }
}
