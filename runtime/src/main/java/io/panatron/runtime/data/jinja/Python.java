package io.panatron.runtime.data.jinja;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Python's meaning of the values of a template: {@code None} is null, the rest are Boolean, Long,
 * Double, String, List and Map. Strings are indexed by code point, as Python does.
 */
final class Python {
  /** A tuple: a list that prints with parentheses. */
  static final class Tuple extends ArrayList<@Nullable Object> {
    private static final long serialVersionUID = 1L;

    Tuple(List<@Nullable Object> items) {
      super(items);
    }
  }

  private Python() {}

  static boolean truth(@Nullable Object v) {
    return switch (v) {
      case null -> false;
      case Undefined u -> false;
      case Boolean b -> b;
      case Long n -> n != 0;
      case Double d -> d != 0;
      case String s -> !s.isEmpty();
      case Collection<?> c -> !c.isEmpty();
      case Map<?, ?> m -> !m.isEmpty();
      default -> true;
    };
  }

  static boolean isNumber(@Nullable Object v) {
    return v instanceof Long || v instanceof Double || v instanceof Boolean;
  }

  static double toDouble(@Nullable Object v) {
    return switch (v) {
      case Long n -> n;
      case Double d -> d;
      case Boolean b -> b ? 1 : 0;
      case null, default -> throw new JinjaException(type(v) + " is not a number");
    };
  }

  static long toLong(@Nullable Object v) {
    return switch (v) {
      case Long n -> n;
      case Boolean b -> b ? 1 : 0;
      case null, default -> throw new JinjaException(type(v) + " is not an integer");
    };
  }

  static boolean equal(@Nullable Object a, @Nullable Object b) {
    if (isNumber(a) && isNumber(b)) {
      return toDouble(a) == toDouble(b);
    }
    if (a instanceof Undefined && b instanceof Undefined) {
      return true;
    }
    if (a instanceof List<?> x && b instanceof List<?> y) {
      if (x.size() != y.size()) {
        return false;
      }
      for (int i = 0; i < x.size(); i++) {
        if (!equal(x.get(i), y.get(i))) {
          return false;
        }
      }
      return true;
    }
    return Objects.equals(a, b);
  }

  static int compare(@Nullable Object a, @Nullable Object b) {
    if (isNumber(a) && isNumber(b)) {
      return Double.compare(toDouble(a), toDouble(b));
    }
    if (a instanceof String x && b instanceof String y) {
      return compareCodePoints(x, y);
    }
    if (a instanceof List<?> x && b instanceof List<?> y) {
      for (int i = 0; i < Math.min(x.size(), y.size()); i++) {
        if (!equal(x.get(i), y.get(i))) {
          return compare(x.get(i), y.get(i));
        }
      }
      return Integer.compare(x.size(), y.size());
    }
    throw new JinjaException(type(a) + " and " + type(b) + " cannot be ordered");
  }

  private static int compareCodePoints(String x, String y) {
    return java.util.Arrays.compare(x.codePoints().toArray(), y.codePoints().toArray());
  }

  static boolean contains(@Nullable Object container, @Nullable Object item) {
    return switch (container) {
      case String s when item instanceof String part -> s.contains(part);
      case Collection<?> c -> c.stream().anyMatch(x -> equal(x, item));
      case Map<?, ?> m -> item instanceof String && m.containsKey(item);
      case Undefined u -> false;
      case null, default ->
          throw new JinjaException(type(item) + " cannot be looked for in " + type(container));
    };
  }

  static List<@Nullable Object> iterate(@Nullable Object v) {
    return switch (v) {
      case List<?> list -> new ArrayList<>(list);
      case Collection<?> c -> new ArrayList<>(c);
      case Map<?, ?> m -> new ArrayList<>(m.keySet());
      case String s -> {
        List<@Nullable Object> characters = new ArrayList<>();
        s.codePoints().forEach(c -> characters.add(Character.toString(c)));
        yield characters;
      }
      case Undefined u -> new ArrayList<>();
      case null, default -> throw new JinjaException(type(v) + " cannot be iterated over");
    };
  }

  static long length(@Nullable Object v) {
    return switch (v) {
      case String s -> s.codePointCount(0, s.length());
      case Collection<?> c -> c.size();
      case Map<?, ?> m -> m.size();
      case Undefined u -> 0;
      case null, default -> throw new JinjaException(type(v) + " has no length");
    };
  }

  /** {@code v[from:to:step]}; null bounds are the ends. */
  static Object slice(
      @Nullable Object v, @Nullable Object from, @Nullable Object to, @Nullable Object by) {
    if (!(v instanceof String) && !(v instanceof List)) {
      throw new JinjaException(type(v) + " cannot be sliced");
    }
    List<@Nullable Object> items = iterate(v);
    int n = items.size();
    long step = by == null ? 1 : toLong(by);
    if (step == 0) {
      throw new JinjaException("a slice has step 0");
    }
    long low = step > 0 ? 0 : -1;
    long high = step > 0 ? n : n - 1;
    long start = from == null ? (step > 0 ? low : high) : bound(toLong(from), n, low, high);
    long stop = to == null ? (step > 0 ? high : low) : bound(toLong(to), n, low, high);
    List<@Nullable Object> picked = new ArrayList<>();
    for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
      picked.add(items.get((int) i));
    }
    return v instanceof String ? String.join("", strings(picked)) : picked;
  }

  private static long bound(long i, int n, long low, long high) {
    return Math.clamp(i < 0 ? i + n : i, low, high);
  }

  private static List<String> strings(List<@Nullable Object> items) {
    return items.stream().map(Python::str).toList();
  }

  static String str(@Nullable Object v) {
    return switch (v) {
      case null -> "None";
      case String s -> s;
      case Undefined u -> "";
      case Boolean b -> b ? "True" : "False";
      case Double d -> number(d);
      case List<?> list -> {
        boolean tuple = list instanceof Tuple;
        StringBuilder text = new StringBuilder(tuple ? "(" : "[");
        for (Object item : list) {
          text.append(text.length() > 1 ? ", " : "").append(repr(item));
        }
        yield text.append(tuple && list.size() == 1 ? "," : "")
            .append(tuple ? ')' : ']')
            .toString();
      }
      case Map<?, ?> map -> {
        StringBuilder text = new StringBuilder("{");
        map.forEach((k, x) ->
            text.append(text.length() > 1 ? ", " : "")
                .append(repr(k))
                .append(": ")
                .append(repr(x)));
        yield text.append('}').toString();
      }
      case Long n -> n.toString();
      default -> throw new JinjaException(type(v) + " cannot be printed");
    };
  }

  private static String repr(@Nullable Object v) {
    if (!(v instanceof String s)) {
      return str(v);
    }
    char quote = s.indexOf('\'') >= 0 && s.indexOf('"') < 0 ? '"' : '\'';
    StringBuilder text = new StringBuilder().append(quote);
    for (int i = 0; i < s.length(); i++) {
      char c = s.charAt(i);
      switch (c) {
        case '\n' -> text.append("\\n");
        case '\r' -> text.append("\\r");
        case '\t' -> text.append("\\t");
        case '\\' -> text.append("\\\\");
        default -> {
          if (c == quote) {
            text.append('\\').append(c);
          } else if (c < ' ' || (c >= 0x7f && c < 0xa1)) {
            text.append(String.format("\\x%02x", (int) c));
          } else {
            text.append(c);
          }
        }
      }
    }
    return text.append(quote).toString();
  }

  /** Python's shortest form of a double: {@code 3.5}, {@code 1e+16}, {@code 1e-05}. */
  static String number(double d) {
    if (Double.isNaN(d)) {
      return "nan";
    }
    if (Double.isInfinite(d)) {
      return d > 0 ? "inf" : "-inf";
    }
    if (d == 0) {
      return 1 / d < 0 ? "-0.0" : "0.0";
    }
    BigDecimal exact = new BigDecimal(Double.toString(d)).stripTrailingZeros();
    int exponent = exact.precision() - exact.scale() - 1;
    if (exponent >= -4 && exponent < 16) {
      String plain = exact.toPlainString();
      return plain.indexOf('.') < 0 ? plain + ".0" : plain;
    }
    String digits = exact.unscaledValue().abs().toString();
    String mantissa = digits.length() == 1 ? digits : digits.charAt(0) + "." + digits.substring(1);
    return (d < 0 ? "-" : "")
        + mantissa
        + String.format("e%s%02d", exponent < 0 ? "-" : "+", Math.abs(exponent));
  }

  static String type(@Nullable Object v) {
    return switch (v) {
      case null -> "None";
      case Undefined u -> "the undefined value '" + u.name() + "'";
      case String s -> "a string";
      case Boolean b -> "a boolean";
      case Long n -> "an integer";
      case Double d -> "a float";
      case List<?> list -> "a list";
      case Map<?, ?> map -> "a mapping";
      default -> "a function";
    };
  }

  /** White space as {@code str.strip} sees it. */
  static boolean isSpace(int c) {
    return (c >= 9 && c <= 13)
        || (c >= 0x1c && c <= 0x20)
        || c == 0x85
        || c == 0xa0
        || c == 0x1680
        || (c >= 0x2000 && c <= 0x200a)
        || c == 0x2028
        || c == 0x2029
        || c == 0x202f
        || c == 0x205f
        || c == 0x3000;
  }
}
