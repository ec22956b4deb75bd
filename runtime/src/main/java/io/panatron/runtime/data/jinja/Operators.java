package io.panatron.runtime.data.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Python's binary operators on template values. */
final class Operators {
  static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

  private static final int MAX_REPEAT = 1_000_000;

  private Operators() {}

  static boolean compare(String operator, @Nullable Object a, @Nullable Object b) {
    return switch (operator) {
      case "==" -> Python.equal(a, b);
      case "!=" -> !Python.equal(a, b);
      case "in" -> Python.contains(b, a);
      case "not in" -> !Python.contains(b, a);
      case "<" -> Python.compare(a, b) < 0;
      case "<=" -> Python.compare(a, b) <= 0;
      case ">" -> Python.compare(a, b) > 0;
      case ">=" -> Python.compare(a, b) >= 0;
      default -> throw new IllegalArgumentException(operator);
    };
  }

  static Object apply(String operator, @Nullable Object a, @Nullable Object b) {
    if (operator.equals("~")) {
      return Python.str(a) + Python.str(b);
    }
    if (a instanceof Undefined u) {
      throw u.error();
    }
    if (b instanceof Undefined u) {
      throw u.error();
    }
    if (operator.equals("+") && a instanceof String x && b instanceof String y) {
      return x + y;
    }
    if (operator.equals("+") && a instanceof List<?> x && b instanceof List<?> y) {
      List<@Nullable Object> joined = new ArrayList<>(x);
      joined.addAll(y);
      return joined;
    }
    if (operator.equals("*") && a instanceof String x && b instanceof Long n) {
      if (n > 0 && n * Math.max(1, x.length()) > MAX_REPEAT) {
        throw new JinjaException("a string is repeated too often");
      }
      return x.repeat((int) Math.max(0, n));
    }
    if (!Python.isNumber(a) || !Python.isNumber(b)) {
      throw new JinjaException(
          "'" + operator + "' does not work on " + Python.type(a) + " and " + Python.type(b));
    }
    boolean real = a instanceof Double || b instanceof Double;
    try {
      return real || operator.equals("/")
          ? onDoubles(operator, Python.toDouble(a), Python.toDouble(b))
          : onIntegers(operator, Python.toLong(a), Python.toLong(b));
    } catch (ArithmeticException e) {
      throw new JinjaException("'" + operator + "' fails: " + e.getMessage());
    }
  }

  private static Object onIntegers(String operator, long a, long b) {
    return switch (operator) {
      case "+" -> Math.addExact(a, b);
      case "-" -> Math.subtractExact(a, b);
      case "*" -> Math.multiplyExact(a, b);
      case "//" -> Math.floorDiv(a, b);
      case "%" -> Math.floorMod(a, b);
      case "**" -> b < 0 ? (Object) Math.pow(a, b) : (Object) power(a, b);
      default -> throw new IllegalArgumentException(operator);
    };
  }

  private static long power(long a, long b) {
    if (b > 64 && Math.abs(a) > 1) {
      throw new ArithmeticException("long overflow");
    }
    long result = 1;
    for (long i = 0; i < (Math.abs(a) > 1 ? b : Math.min(b, 2 - b % 2)); i++) {
      result = Math.multiplyExact(result, a);
    }
    return result;
  }

  private static double onDoubles(String operator, double a, double b) {
    if (b == 0 && "/ // %".contains(operator)) {
      throw new ArithmeticException("division by zero");
    }
    return switch (operator) {
      case "+" -> a + b;
      case "-" -> a - b;
      case "*" -> a * b;
      case "/" -> a / b;
      case "//" -> Math.floor(a / b);
      case "%" -> a - b * Math.floor(a / b);
      case "**" -> Math.pow(a, b);
      default -> throw new IllegalArgumentException(operator);
    };
  }
}
