package io.panatron.runtime.data.jinja;

import io.panatron.runtime.data.jinja.Scope.Callable;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Attributes, items and methods of template values. */
final class Members {
  /** A {@code namespace(...)}: the one value whose attributes a template may set. */
  record Namespace(Map<String, @Nullable Object> values) {}

  /** A value with fixed attributes, such as {@code loop}. */
  interface Attributes {
    @Nullable Object attribute(String name);
  }

  private Members() {}

  /** {@code v.name}: a method, else the item of that name. */
  static @Nullable Object attribute(@Nullable Object v, String name) {
    switch (v) {
      case Undefined u -> throw u.error();
      case String s -> {
        return StringMethods.NAMES.contains(name)
            ? (Callable) (arguments, named) -> StringMethods.call(s, name, arguments, named)
            : new Undefined(name);
      }
      case Namespace n -> {
        return n.values().containsKey(name) ? n.values().get(name) : new Undefined(name);
      }
      case Attributes a -> {
        return a.attribute(name);
      }
      case Map<?, ?> map -> {
        Callable method = mapMethod(map, name);
        if (method != null) {
          return method;
        }
        return map.containsKey(name) ? map.get(name) : new Undefined(name);
      }
      case List<?> list -> {
        Callable method = listMethod(list, name);
        return method != null ? method : new Undefined(name);
      }
      case null, default -> {
        return new Undefined(name);
      }
    }
  }

  /** {@code v[key]}: the item, else the attribute of that name. */
  static @Nullable Object item(@Nullable Object v, @Nullable Object key) {
    if (v instanceof Undefined u) {
      throw u.error();
    }
    if (v instanceof Map<?, ?> map && map.containsKey(key)) {
      return map.get(key);
    }
    if ((v instanceof List || v instanceof String) && key instanceof Long i) {
      long n = Python.length(v);
      long index = i < 0 ? i + n : i;
      if (index < 0 || index >= n) {
        return new Undefined("item " + i);
      }
      if (v instanceof List<?> list) {
        return list.get((int) index);
      }
      String s = (String) v;
      return Character.toString(s.codePointAt(s.offsetByCodePoints(0, (int) index)));
    }
    return key instanceof String name ? attribute(v, name) : new Undefined(Python.str(key));
  }

  private static @Nullable Callable mapMethod(Map<?, ?> map, String name) {
    return switch (name) {
      case "items" -> (arguments, named) -> items(map);
      case "keys" -> (arguments, named) -> new ArrayList<@Nullable Object>(map.keySet());
      case "values" -> (arguments, named) -> new ArrayList<@Nullable Object>(map.values());
      case "get" ->
          (arguments, named) -> {
            Object key = argument("get", arguments, 0);
            return map.containsKey(key)
                ? map.get(key)
                : arguments.size() > 1 ? arguments.get(1) : null;
          };
      case "copy" -> (arguments, named) -> new java.util.LinkedHashMap<>(map);
      case "update", "pop", "clear", "setdefault", "popitem" -> immutable(name);
      default -> null;
    };
  }

  private static @Nullable Callable listMethod(List<?> list, String name) {
    return switch (name) {
      case "index" ->
          (arguments, named) -> {
            for (int i = 0; i < list.size(); i++) {
              if (Python.equal(list.get(i), argument("index", arguments, 0))) {
                return (long) i;
              }
            }
            throw new JinjaException("the list has no such item");
          };
      case "count" ->
          (arguments, named) ->
              list.stream().filter(x -> Python.equal(x, argument("count", arguments, 0))).count();
      case "copy" -> (arguments, named) -> new ArrayList<@Nullable Object>(list);
      case "append", "extend", "insert", "pop", "remove", "sort", "reverse", "clear" ->
          immutable(name);
      default -> null;
    };
  }

  /** transformers renders in an immutable sandbox, where these are refused too. */
  private static Callable immutable(String name) {
    return (arguments, named) -> {
      throw new JinjaException("'" + name + "' would change a value, which templates may not");
    };
  }

  static List<@Nullable Object> items(Map<?, ?> map) {
    List<@Nullable Object> pairs = new ArrayList<>();
    map.forEach((k, x) -> {
      List<@Nullable Object> pair = new ArrayList<>();
      pair.add(k);
      pair.add(x);
      pairs.add(new Python.Tuple(pair));
    });
    return pairs;
  }

  static @Nullable Object argument(String function, List<@Nullable Object> arguments, int i) {
    if (i >= arguments.size()) {
      throw new JinjaException("'" + function + "' needs " + (i + 1) + " arguments");
    }
    return arguments.get(i);
  }
}
