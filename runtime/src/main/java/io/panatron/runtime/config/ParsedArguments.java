package io.panatron.runtime.config;

import io.panatron.runtime.UserError;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The effective value of every parameter of one command, typed, checked, immutable, and with where
 * it comes from.
 *
 * <p>The getters throw {@link IllegalArgumentException} for a name the command does not have and
 * {@link IllegalStateException} for a value that is unset or of another type: mistakes of the
 * program, not of the user.
 */
public final class ParsedArguments {
  private final String command;
  private final Map<String, Entry> entries;

  /** One parameter with its value. */
  record Entry(Parameter parameter, @Nullable Object value, Provenance provenance) {}

  ParsedArguments(String command, Map<String, Entry> entries) {
    this.command = command;
    this.entries = Collections.unmodifiableMap(new LinkedHashMap<>(entries));
  }

  /** The command that the values are for, such as {@code sft}. */
  public String command() {
    return command;
  }

  /** All parameters, in the table's order. */
  public List<Parameter> parameters() {
    return entries.values().stream().map(Entry::parameter).toList();
  }

  /**
   * The command and all that the user set, on the command line or in a file, as words of a command
   * line; secrets are left out.
   */
  public List<String> commandLine() {
    List<String> words = new ArrayList<>(List.of(command));
    for (Entry entry : entries.values()) {
      Parameter parameter = entry.parameter();
      if (!isGiven(parameter.name()) || parameter.secret()) {
        continue;
      }
      words.add("--" + parameter.name());
      if (entry.value() instanceof List<?> values) {
        values.forEach(value -> words.add(String.valueOf(value)));
      } else {
        words.add(entry.value() == null ? "None" : entry.value().toString());
      }
    }
    return words;
  }

  /** Whether the user set the parameter, to whatever value. */
  public boolean isGiven(String name) {
    Provenance provenance = provenance(name);
    return provenance == Provenance.COMMAND_LINE || provenance == Provenance.CONFIG_FILE;
  }

  /** Where the value comes from. */
  public Provenance provenance(String name) {
    return entry(name).provenance();
  }

  /** The value as {@link ParameterType} says, or null when it is unset. */
  public @Nullable Object value(String name) {
    return entry(name).value();
  }

  /** A boolean that is set. */
  public boolean flag(String name) {
    return required(name, Boolean.class);
  }

  /** A boolean, or null when it is unset. */
  public @Nullable Boolean flagOrNull(String name) {
    return cast(name, Boolean.class);
  }

  /** A whole number that is set and fits an int, as all but the seeds do. */
  public int integer(String name) {
    return Math.toIntExact(required(name, Long.class));
  }

  /** A whole number that fits an int, or null when it is unset. */
  public @Nullable Integer integerOrNull(String name) {
    Long value = cast(name, Long.class);
    return value == null ? null : Math.toIntExact(value);
  }

  /** A whole number that is set. */
  public long wholeNumber(String name) {
    return required(name, Long.class);
  }

  /** A finite number that is set. */
  public double number(String name) {
    return required(name, Double.class);
  }

  /** A finite number, or null when it is unset. */
  public @Nullable Double numberOrNull(String name) {
    return cast(name, Double.class);
  }

  /** A text, a choice or a JSON text that is set. */
  public String text(String name) {
    return required(name, String.class);
  }

  /** A text, a choice or a JSON text, or null when it is unset. */
  public @Nullable String textOrNull(String name) {
    return cast(name, String.class);
  }

  /**
   * A text that is set, as a path.
   *
   * @throws UserError if this system cannot have such a path
   */
  public Path path(String name) {
    try {
      return Path.of(text(name));
    } catch (InvalidPathException e) {
      throw new UserError(
          "--%s '%s' is no path here (%s).".formatted(name, text(name), e.getReason()), e);
    }
  }

  /** A text as a path, or null when it is unset; see {@link #path}. */
  public @Nullable Path pathOrNull(String name) {
    return value(name) == null ? null : path(name);
  }

  /** The items of a list; empty when it is unset. */
  @SuppressWarnings("unchecked") // a LIST only ever holds texts
  public List<String> list(String name) {
    List<String> items = (List<String>) cast(name, List.class);
    return items == null ? List.of() : items;
  }

  /**
   * The same arguments with one value worked out by the trainer, such as train_iters from
   * max_epochs.
   *
   * @throws IllegalArgumentException if the value has not the type of the parameter; int and float
   *     are widened
   */
  public ParsedArguments with(String name, @Nullable Object value) {
    Entry old = entry(name);
    Object stored =
        switch (value) {
          case Integer whole when old.parameter().type() == ParameterType.INT ->
              Long.valueOf(whole);
          case Number number when old.parameter().type() == ParameterType.FLOAT ->
              number.doubleValue();
          case List<?> items -> List.copyOf(items);
          case null, default -> value;
        };
    Class<?> needed =
        switch (old.parameter().type()) {
          case INT -> Long.class;
          case FLOAT -> Double.class;
          case BOOL -> Boolean.class;
          case LIST -> List.class;
          case ENUM, STRING, JSON -> String.class;
        };
    if (stored != null && !needed.isInstance(stored)) {
      throw new IllegalArgumentException(
          name + " takes " + old.parameter().type().label() + ", not " + stored);
    }
    Map<String, Entry> changed = new LinkedHashMap<>(entries);
    changed.put(name, new Entry(old.parameter(), stored, Provenance.DERIVED));
    return new ParsedArguments(command, changed);
  }

  /** The parameters left at a default that has no effect yet: what a run says at its start. */
  public List<Parameter> unhonouredDefaults() {
    return entries.values().stream()
        .filter(e -> e.parameter().state() == ParameterState.UNHONOURED_DEFAULT)
        .filter(e -> Objects.equals(e.value(), e.parameter().defaultValue()))
        .filter(e ->
            !ParameterValues.isAllowed(e.parameter(), e.value()) || !isGiven(e.parameter().name()))
        .map(Entry::parameter)
        .toList();
  }

  /**
   * The parameters that the user set to something other than the default and that change nothing
   * here.
   */
  public List<Parameter> givenWithoutEffect() {
    return entries.values().stream()
        .filter(
            e -> e.parameter().state() == ParameterState.ACCEPTED && isGiven(e.parameter().name()))
        .filter(e -> !Objects.equals(e.value(), e.parameter().defaultValue()))
        .map(Entry::parameter)
        .toList();
  }

  /**
   * Refuses what the user set and a model is not, such as {@code --normalization LayerNorm} for one
   * of a family that has RMS norms; what is set and equal passes.
   *
   * @param fromModel what the model is, by parameter name, in the types of {@link ParameterType}
   * @param architecture the name of its family
   * @throws UserError naming every contradicted parameter
   */
  public void requireAgreement(Map<String, ?> fromModel, String architecture) {
    List<String> contradicted = new ArrayList<>();
    fromModel.forEach((name, modelValue) -> {
      Object value = value(name);
      if (isGiven(name) && value != null && !sameValue(value, modelValue)) {
        contradicted.add("--" + name + " " + value + " (it has " + modelValue + ")");
      }
    });
    if (!contradicted.isEmpty()) {
      throw new UserError(
          "The config.json of %s cannot say %s; leave that out, or take a model of another family."
              .formatted(architecture, String.join(", ", contradicted)));
    }
  }

  private static boolean sameValue(Object ours, @Nullable Object theirs) {
    if (ours instanceof Number a && theirs instanceof Number b) {
      return a.doubleValue() == b.doubleValue();
    }
    return ours.equals(theirs);
  }

  private <T> T required(String name, Class<T> type) {
    T value = cast(name, type);
    if (value == null) {
      throw new IllegalStateException("parameter " + name + " is unset");
    }
    return value;
  }

  private <T> @Nullable T cast(String name, Class<T> type) {
    Object value = value(name);
    if (value != null && !type.isInstance(value)) {
      throw new IllegalStateException(
          "parameter " + name + " is " + entry(name).parameter().type().label());
    }
    return type.cast(value);
  }

  private Entry entry(String name) {
    Entry entry = entries.get(name);
    if (entry == null) {
      throw new IllegalArgumentException(command + " has no parameter " + name);
    }
    return entry;
  }
}
