package io.panatron.runtime.data.jinja;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Jinja2's filters, {@code value | name(arguments)}, with transformers' {@code tojson}. */
final class Filters {
  static final Set<String> NAMES =
      Set.of(
          "trim",
          "length",
          "count",
          "tojson",
          "upper",
          "lower",
          "title",
          "capitalize",
          "default",
          "d",
          "join",
          "list",
          "first",
          "last",
          "map",
          "select",
          "reject",
          "selectattr",
          "rejectattr",
          "replace",
          "string",
          "int",
          "float",
          "items",
          "dictsort",
          "unique",
          "reverse",
          "sort",
          "safe",
          "escape",
          "e",
          "indent",
          "abs",
          "round",
          "sum",
          "min",
          "max");

  private Filters() {}

  static @Nullable Object apply(
      String name,
      @Nullable Object v,
      List<@Nullable Object> arguments,
      Map<String, @Nullable Object> named) {
    return switch (name) {
      case "trim" ->
          StringMethods.strip(Python.str(v), option(arguments, 0, named, "chars"), true, true);
      case "length", "count" -> Python.length(v);
      case "tojson" -> json(v, arguments, named);
      case "upper" -> Python.str(v).toUpperCase(Locale.ROOT);
      case "lower" -> Python.str(v).toLowerCase(Locale.ROOT);
      case "title" -> StringMethods.title(Python.str(v));
      case "capitalize" -> StringMethods.capitalize(Python.str(v));
      case "default", "d" -> {
        boolean byTruth = Python.truth(option(arguments, 1, named, "boolean"));
        boolean missing = v instanceof Undefined || (byTruth && !Python.truth(v));
        Object substitute =
            arguments.isEmpty() && !named.containsKey("default_value")
                ? ""
                : option(arguments, 0, named, "default_value");
        yield missing ? substitute : v;
      }
      case "join" -> join(v, arguments, named);
      case "list" -> Python.iterate(v);
      case "first" -> {
        List<@Nullable Object> items = Python.iterate(v);
        yield items.isEmpty() ? new Undefined("first item") : items.get(0);
      }
      case "last" -> {
        List<@Nullable Object> items = Python.iterate(v);
        yield items.isEmpty() ? new Undefined("last item") : items.get(items.size() - 1);
      }
      case "map" -> map(v, arguments, named);
      case "select" -> choose(v, arguments, false, true);
      case "reject" -> choose(v, arguments, false, false);
      case "selectattr" -> choose(v, arguments, true, true);
      case "rejectattr" -> choose(v, arguments, true, false);
      case "replace" -> StringMethods.call(Python.str(v), "replace", arguments, named);
      case "string" -> Python.str(v);
      case "int" -> toInteger(v);
      case "float" -> toFloat(v);
      case "items" -> v instanceof Undefined ? List.of() : Members.items(mapping(v));
      case "dictsort" -> {
        List<@Nullable Object> pairs = Members.items(mapping(v));
        pairs.sort(
            Comparator.comparing(p -> Python.str(((List<?>) p).get(0)).toLowerCase(Locale.ROOT)));
        yield pairs;
      }
      case "unique" -> {
        List<@Nullable Object> kept = new ArrayList<>();
        for (Object item : Python.iterate(v)) {
          if (!Python.contains(kept, item)) {
            kept.add(item);
          }
        }
        yield kept;
      }
      case "reverse" ->
          v instanceof String s
              ? new StringBuilder(s).reverse().toString()
              : Python.iterate(v).reversed();
      case "sort" -> sort(v, arguments, named);
      case "safe" -> v;
      case "escape", "e" -> escape(Python.str(v));
      case "indent" -> indent(Python.str(v), arguments, named);
      case "abs" ->
          v instanceof Double d ? (Object) Math.abs(d) : (Object) Math.abs(Python.toLong(v));
      case "round" -> {
        Object digits = option(arguments, 0, named, "precision");
        double scale = Math.pow(10, digits == null ? 0 : Python.toLong(digits));
        yield Math.rint(Python.toDouble(v) * scale) / scale;
      }
      case "sum" -> {
        Object total = 0L;
        for (Object item : Python.iterate(v)) {
          total = Operators.apply("+", total, item);
        }
        yield total;
      }
      case "min" -> Python.iterate(v).stream().min(Python::compare).orElse(new Undefined("min"));
      case "max" -> Python.iterate(v).stream().max(Python::compare).orElse(new Undefined("max"));
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static @Nullable Object option(
      List<@Nullable Object> arguments, int i, Map<String, @Nullable Object> named, String name) {
    return i < arguments.size() ? arguments.get(i) : named.get(name);
  }

  private static String json(
      @Nullable Object v, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    String[] order = {"ensure_ascii", "indent", "separators", "sort_keys"};
    Map<String, @Nullable Object> options = new LinkedHashMap<>(named);
    for (int i = 0; i < Math.min(arguments.size(), order.length); i++) {
      options.put(order[i], arguments.get(i));
    }
    if (v instanceof Undefined u) {
      throw u.error();
    }
    return PythonJson.dump(v, options);
  }

  private static String join(
      @Nullable Object v, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    Object separator = option(arguments, 0, named, "d");
    Object attribute = option(arguments, 1, named, "attribute");
    return Python.iterate(v).stream()
        .map(x -> Python.str(attribute == null ? x : path(x, attribute)))
        .collect(Collectors.joining(separator == null ? "" : Python.str(separator)));
  }

  /** Follows {@code a.b.0} as the {@code attribute} arguments of Jinja2 do. */
  private static @Nullable Object path(@Nullable Object v, @Nullable Object attribute) {
    Object value = v;
    for (String part : Python.str(attribute).split("\\.", -1)) {
      boolean index = !part.isEmpty() && part.chars().allMatch(c -> c >= '0' && c <= '9');
      value = Members.item(value, index ? (Object) Long.valueOf(part) : part);
    }
    return value;
  }

  private static List<@Nullable Object> map(
      @Nullable Object v, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    List<@Nullable Object> mapped = new ArrayList<>();
    for (Object item : Python.iterate(v)) {
      if (named.containsKey("attribute")) {
        Object value = path(item, named.get("attribute"));
        mapped.add(
            value instanceof Undefined && named.containsKey("default")
                ? named.get("default")
                : value);
      } else {
        String filter = Python.str(Members.argument("map", arguments, 0));
        if (!NAMES.contains(filter)) {
          throw new JinjaException("the filter '" + filter + "' is not supported");
        }
        mapped.add(apply(filter, item, arguments.subList(1, arguments.size()), named));
      }
    }
    return mapped;
  }

  private static List<@Nullable Object> choose(
      @Nullable Object v, List<@Nullable Object> arguments, boolean byAttribute, boolean keep) {
    int skip = byAttribute ? 1 : 0;
    Object attribute = byAttribute ? Members.argument("selectattr", arguments, 0) : null;
    String test = arguments.size() > skip ? Python.str(arguments.get(skip)) : null;
    if (test != null && !Tests.NAMES.contains(test)) {
      throw new JinjaException("the test '" + test + "' is not supported");
    }
    List<@Nullable Object> rest =
        arguments.subList(Math.min(arguments.size(), skip + 1), arguments.size());
    List<@Nullable Object> kept = new ArrayList<>();
    for (Object item : Python.iterate(v)) {
      Object value = byAttribute ? path(item, attribute) : item;
      if ((test == null ? Python.truth(value) : Tests.holds(test, value, rest)) == keep) {
        kept.add(item);
      }
    }
    return kept;
  }

  private static List<@Nullable Object> sort(
      @Nullable Object v, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    boolean reverse = Python.truth(option(arguments, 0, named, "reverse"));
    boolean exact = Python.truth(option(arguments, 1, named, "case_sensitive"));
    Object attribute = option(arguments, 2, named, "attribute");
    Comparator<@Nullable Object> order =
        (a, b) -> {
          Object x = attribute == null ? a : path(a, attribute);
          Object y = attribute == null ? b : path(b, attribute);
          return !exact && x instanceof String s && y instanceof String t
              ? Python.compare(s.toLowerCase(Locale.ROOT), t.toLowerCase(Locale.ROOT))
              : Python.compare(x, y);
        };
    List<@Nullable Object> items = Python.iterate(v);
    items.sort(reverse ? order.reversed() : order);
    return items;
  }

  private static Object toInteger(@Nullable Object v) {
    if (Python.isNumber(v)) {
      return v instanceof Double d ? (Object) d.longValue() : (Object) Python.toLong(v);
    }
    try {
      return (long) Double.parseDouble(StringMethods.strip(Python.str(v), null, true, true));
    } catch (NumberFormatException e) {
      return 0L; // Jinja2's own default for text that is no number
    }
  }

  private static Object toFloat(@Nullable Object v) {
    if (Python.isNumber(v)) {
      return Python.toDouble(v);
    }
    try {
      return Double.parseDouble(StringMethods.strip(Python.str(v), null, true, true));
    } catch (NumberFormatException e) {
      return 0.0; // Jinja2's own default for text that is no number
    }
  }

  private static Map<?, ?> mapping(@Nullable Object v) {
    if (v instanceof Map<?, ?> map) {
      return map;
    }
    throw new JinjaException("a mapping is needed, not " + Python.type(v));
  }

  private static String escape(String s) {
    return s.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("'", "&#39;")
        .replace("\"", "&#34;");
  }

  private static String indent(
      String s, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    Object width = option(arguments, 0, named, "width");
    boolean first = Python.truth(option(arguments, 1, named, "first"));
    boolean blank = Python.truth(option(arguments, 2, named, "blank"));
    String unit =
        width == null
            ? "    "
            : width instanceof String w ? w : " ".repeat((int) Python.toLong(width));
    String[] lines = s.split("\n", -1);
    for (int i = 0; i < lines.length; i++) {
      if ((i > 0 || first) && (blank || !lines[i].isEmpty())) {
        lines[i] = unit + lines[i];
      }
    }
    return String.join("\n", lines);
  }
}
