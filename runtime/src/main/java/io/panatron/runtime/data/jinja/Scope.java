package io.panatron.runtime.data.jinja;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The variables visible at one point of a rendering: its own and those of the enclosing scopes. */
final class Scope {
  /** Something that a template can call. */
  interface Callable {
    @Nullable Object call(List<@Nullable Object> arguments, Map<String, @Nullable Object> named);
  }

  /** An expression of the template, ready to be computed. */
  interface Expression {
    @Nullable Object value(Scope scope);
  }

  /** A statement of the template: writes its output; says how the enclosing loop goes on. */
  interface Statement {
    Flow run(Scope scope, StringBuilder out);
  }

  enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  private final @Nullable Scope parent;
  private final Map<String, @Nullable Object> variables = new HashMap<>();

  Scope(@Nullable Scope parent) {
    this.parent = parent;
  }

  void set(String name, @Nullable Object value) {
    variables.put(name, value);
  }

  @Nullable Object get(String name) {
    for (Scope s = this; s != null; s = s.parent) {
      Object value = s.variables.get(name);
      if (value != null || s.variables.containsKey(name)) {
        return value;
      }
    }
    return new Undefined(name);
  }
}
