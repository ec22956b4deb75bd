package io.panatron.runtime.config;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One row of the parameter table: what may be written after {@code --name} and what becomes of it.
 *
 * @param name name on the command line, in a configuration file and in args.json
 * @param scope which commands see it: megatron, training, base and lora for all training, pt for
 *     pre-training, rlhf and its methods, export, and panatron for what this trainer adds
 * @param section heading under which help shows it
 * @param type kind of its value
 * @param defaultText default as the documentation writes it; "None" and "" mean unset
 * @param choices documented values; binding for an enum, examples otherwise
 * @param aliases other names for the same parameter
 * @param range numbers that make sense, or null
 * @param state how far it is honoured
 * @param allowed values honoured beside the default; empty leaves that to the state
 * @param reason why it has no effect, or why only some values do; empty when it is fully supported
 * @param meaning what it does, in one or two sentences
 * @param order place in the table
 */
public record Parameter(
    String name,
    String scope,
    String section,
    ParameterType type,
    String defaultText,
    List<String> choices,
    List<String> aliases,
    @Nullable ValueRange range,
    ParameterState state,
    List<String> allowed,
    String reason,
    String meaning,
    int order) {
  public Parameter {
    choices = List.copyOf(choices);
    aliases = List.copyOf(aliases);
    allowed = List.copyOf(allowed);
    if (state != ParameterState.SUPPORTED && reason.isEmpty()) {
      throw new IllegalArgumentException(
          "parameter " + name + " is " + state.label() + " without a reason");
    }
  }

  /**
   * The value a run has when nobody sets the parameter; null when it is then unset or worked out.
   */
  public @Nullable Object defaultValue() {
    boolean unset = defaultText.isEmpty() || defaultText.equals("None");
    boolean expression = type == ParameterType.INT && defaultText.contains("*");
    return unset || expression ? null : ParameterValues.parseOne(this, defaultText);
  }

  /** The default as text for people: never blank. */
  public String shownDefault() {
    return defaultText.isEmpty() ? "None" : defaultText;
  }

  /** Whether its value must not be shown or stored. */
  public boolean secret() {
    return name.equals("hub_token");
  }
}
