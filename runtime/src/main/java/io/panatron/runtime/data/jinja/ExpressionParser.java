package io.panatron.runtime.data.jinja;

import io.panatron.runtime.data.jinja.JinjaLexer.Kind;
import io.panatron.runtime.data.jinja.JinjaLexer.Token;
import io.panatron.runtime.data.jinja.Scope.Callable;
import io.panatron.runtime.data.jinja.Scope.Expression;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads expressions with Jinja2's precedence: {@code if}, or, and, not, comparison, +, ~, *, **.
 */
class ExpressionParser extends TokenCursor {
  private static final Set<String> NO_TEST_ARGUMENT =
      Set.of("else", "or", "and", "if", "is", "in", "not");

  /** Deeper nesting than any template needs would exhaust the stack of the reading thread. */
  private static final int MAX_DEPTH = 200;

  private int depth;

  ExpressionParser(List<Token> tokens) {
    super(tokens);
  }

  /** Puts the line before an error of rendering, once. */
  private static Expression located(int line, Expression e) {
    return s -> {
      try {
        return e.value(s);
      } catch (JinjaException x) {
        String message = String.valueOf(x.getMessage());
        throw message.startsWith("line ") || message.startsWith("the template says")
            ? x
            : new JinjaException("line " + line + ": " + message);
      }
    };
  }

  final Expression expression() {
    if (++depth > MAX_DEPTH) {
      throw error("expressions are nested too deeply");
    }
    try {
      Expression value = or();
      while (accept(Kind.NAME, "if")) {
        Expression then = value;
        Expression condition = or();
        Expression otherwise =
            accept(Kind.NAME, "else") ? expression() : s -> new Undefined("inline if");
        value = s -> Python.truth(condition.value(s)) ? then.value(s) : otherwise.value(s);
      }
      return value;
    } finally {
      depth--;
    }
  }

  /** An expression, or a tuple of several without parentheses. */
  final Expression tuple() {
    Expression first = expression();
    if (!peek().is(Kind.OPERATOR, ",")) {
      return first;
    }
    List<Expression> items = new ArrayList<>(List.of(first));
    while (acceptOperator(",")) {
      if (peek().kind() == Kind.BLOCK_END || peek().kind() == Kind.OUTPUT_END) {
        break;
      }
      items.add(expression());
    }
    return tuple(items);
  }

  final Expression or() {
    Expression left = and();
    while (accept(Kind.NAME, "or")) {
      Expression a = left;
      Expression b = and();
      left =
          s -> {
            Object v = a.value(s);
            return Python.truth(v) ? v : b.value(s);
          };
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (accept(Kind.NAME, "and")) {
      Expression a = left;
      Expression b = not();
      left =
          s -> {
            Object v = a.value(s);
            return Python.truth(v) ? b.value(s) : v;
          };
    }
    return left;
  }

  private Expression not() {
    if (++depth > MAX_DEPTH) {
      throw error("expressions are nested too deeply");
    }
    try {
      if (accept(Kind.NAME, "not")) {
        Expression e = not();
        return s -> !Python.truth(e.value(s));
      }
      return comparison();
    } finally {
      depth--;
    }
  }

  /** A chain {@code a < b <= c} holds when each neighbouring pair holds. */
  private Expression comparison() {
    Expression first = sum();
    List<String> operators = new ArrayList<>();
    List<Expression> operands = new ArrayList<>(List.of(first));
    int line = peek().line();
    while (true) {
      Token t = peek();
      if (t.kind() == Kind.OPERATOR && Operators.COMPARISONS.contains(t.text())) {
        operators.add(next().text());
      } else if (accept(Kind.NAME, "in")) {
        operators.add("in");
      } else if (t.is(Kind.NAME, "not") && afterNext().is(Kind.NAME, "in")) {
        next();
        next();
        operators.add("not in");
      } else {
        break;
      }
      operands.add(sum());
    }
    if (operators.isEmpty()) {
      return first;
    }
    return located(
        line,
        s -> {
          Object left = operands.get(0).value(s);
          for (int i = 0; i < operators.size(); i++) {
            Object right = operands.get(i + 1).value(s);
            if (!Operators.compare(operators.get(i), left, right)) {
              return false;
            }
            left = right;
          }
          return true;
        });
  }

  private Expression sum() {
    return binary(List.of("+", "-"), this::concatenation);
  }

  private Expression concatenation() {
    return binary(List.of("~"), this::product);
  }

  private Expression product() {
    return binary(List.of("*", "/", "//", "%"), this::power);
  }

  private Expression power() {
    return binary(List.of("**"), () -> unary(true));
  }

  private Expression binary(List<String> operators, java.util.function.Supplier<Expression> next) {
    Expression left = next.get();
    while (peek().kind() == Kind.OPERATOR && operators.contains(peek().text())) {
      int line = peek().line();
      String operator = next().text();
      Expression a = left;
      Expression b = next.get();
      left = located(line, s -> Operators.apply(operator, a.value(s), b.value(s)));
    }
    return left;
  }

  private Expression unary(boolean withFilters) {
    int line = peek().line();
    Expression e;
    if (acceptOperator("-")) {
      Expression operand = unary(false);
      e = located(line, s -> Operators.apply("-", 0L, operand.value(s)));
    } else if (acceptOperator("+")) {
      e = unary(false);
    } else {
      e = postfix(primary());
    }
    return withFilters ? filtersAndTests(e) : e;
  }

  private Expression primary() {
    Token t = next();
    switch (t.kind()) {
      case STRING -> {
        StringBuilder text = new StringBuilder(t.text());
        while (peek().kind() == Kind.STRING) {
          text.append(next().text());
        }
        String value = text.toString();
        return s -> value;
      }
      case INTEGER -> {
        Long value = Long.valueOf(t.text());
        return s -> value;
      }
      case FLOAT -> {
        Double value = Double.valueOf(t.text());
        return s -> value;
      }
      case NAME -> {
        return name(t.text());
      }
      default -> {
        if (t.is(Kind.OPERATOR, "(")) {
          return parenthesis();
        }
        if (t.is(Kind.OPERATOR, "[")) {
          return list(items("]"));
        }
        if (t.is(Kind.OPERATOR, "{")) {
          return mapping();
        }
        throw error("expected a value but found '" + t.text() + "'");
      }
    }
  }

  private static Expression name(String name) {
    return switch (name) {
      case "true", "True" -> s -> Boolean.TRUE;
      case "false", "False" -> s -> Boolean.FALSE;
      case "none", "None" -> s -> null;
      default -> s -> s.get(name);
    };
  }

  private Expression parenthesis() {
    if (acceptOperator(")")) {
      return tuple(List.of());
    }
    Expression first = expression();
    if (acceptOperator(")")) {
      return first;
    }
    expectOperator(",");
    List<Expression> all = new ArrayList<>(List.of(first));
    all.addAll(items(")"));
    return tuple(all);
  }

  private List<Expression> items(String close) {
    List<Expression> items = new ArrayList<>();
    while (!acceptOperator(close)) {
      if (!items.isEmpty()) {
        expectOperator(",");
        if (acceptOperator(close)) {
          break;
        }
      }
      items.add(expression());
    }
    return items;
  }

  private static Expression tuple(List<Expression> items) {
    Expression list = list(items);
    return s -> new Python.Tuple(Python.iterate(list.value(s)));
  }

  private static Expression list(List<Expression> items) {
    return s -> {
      List<@Nullable Object> values = new ArrayList<>(items.size());
      for (Expression e : items) {
        values.add(e.value(s));
      }
      return values;
    };
  }

  private Expression mapping() {
    List<Expression> keys = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!acceptOperator("}")) {
      if (!keys.isEmpty()) {
        expectOperator(",");
        if (acceptOperator("}")) {
          break;
        }
      }
      keys.add(expression());
      expectOperator(":");
      values.add(expression());
    }
    return s -> {
      Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
      for (int i = 0; i < keys.size(); i++) {
        map.put(keys.get(i).value(s), values.get(i).value(s));
      }
      return map;
    };
  }

  private Expression postfix(Expression start) {
    Expression e = start;
    while (true) {
      int line = peek().line();
      Expression object = e;
      if (acceptOperator(".")) {
        Token t = next();
        if (t.kind() == Kind.INTEGER) {
          Long index = Long.valueOf(t.text());
          e = located(line, s -> Members.item(object.value(s), index));
        } else if (t.kind() == Kind.NAME) {
          e = located(line, s -> Members.attribute(object.value(s), t.text()));
        } else {
          throw error("expected a name after '.'");
        }
      } else if (acceptOperator("[")) {
        e = located(line, subscript(object));
      } else if (acceptOperator("(")) {
        Arguments arguments = arguments();
        e =
            located(
                line,
                s -> {
                  Object f = object.value(s);
                  if (f instanceof Undefined u) {
                    throw u.error();
                  }
                  if (!(f instanceof Callable callable)) {
                    throw new JinjaException(Python.type(f) + " cannot be called");
                  }
                  return callable.call(arguments.positional(s), arguments.named(s));
                });
      } else {
        return e;
      }
    }
  }

  private Expression subscript(Expression object) {
    @Nullable Expression[] parts = new @Nullable Expression[3];
    int count = 0;
    while (true) {
      if (!peek().is(Kind.OPERATOR, ":") && !peek().is(Kind.OPERATOR, "]")) {
        parts[count] = expression();
      }
      if (acceptOperator("]")) {
        break;
      }
      expectOperator(":");
      if (++count > 2) {
        throw error("a slice has at most three parts");
      }
    }
    Expression from = parts[0];
    Expression to = parts[1];
    Expression by = parts[2];
    if (count == 0) {
      if (from == null) {
        throw error("a subscript is empty");
      }
      return s -> Members.item(object.value(s), from.value(s));
    }
    return s ->
        Python.slice(
            object.value(s),
            from == null ? null : from.value(s),
            to == null ? null : to.value(s),
            by == null ? null : by.value(s));
  }

  /** The arguments of a call, as expressions. */
  record Arguments(List<Expression> unnamed, Map<String, Expression> keywords) {
    List<@Nullable Object> positional(Scope s) {
      List<@Nullable Object> values = new ArrayList<>(unnamed.size());
      for (Expression e : unnamed) {
        values.add(e.value(s));
      }
      return values;
    }

    Map<String, @Nullable Object> named(Scope s) {
      Map<String, @Nullable Object> values = new LinkedHashMap<>();
      keywords.forEach((k, e) -> values.put(k, e.value(s)));
      return values;
    }
  }

  /** Reads arguments up to the closing parenthesis; the opening one is read already. */
  final Arguments arguments() {
    List<Expression> unnamed = new ArrayList<>();
    Map<String, Expression> keywords = new LinkedHashMap<>();
    boolean first = true;
    while (!acceptOperator(")")) {
      if (!first) {
        expectOperator(",");
        if (acceptOperator(")")) {
          break;
        }
      }
      first = false;
      if (peek().kind() == Kind.NAME && afterNext().is(Kind.OPERATOR, "=")) {
        String name = expectName();
        expectOperator("=");
        keywords.put(name, expression());
      } else {
        unnamed.add(expression());
      }
    }
    return new Arguments(unnamed, keywords);
  }

  private Expression filtersAndTests(Expression start) {
    Expression e = start;
    while (true) {
      Expression object = e;
      int line = peek().line();
      if (acceptOperator("|")) {
        e = filter(object, line);
      } else if (accept(Kind.NAME, "is")) {
        boolean negated = accept(Kind.NAME, "not");
        e = located(line, test(object, negated));
      } else if (acceptOperator("(")) {
        throw error("a filter or test cannot be called");
      } else {
        return e;
      }
    }
  }

  /** Reads a filter's name and arguments; the bar is read already. */
  final Expression filter(Expression object, int line) {
    String name = expectName();
    if (!Filters.NAMES.contains(name)) {
      throw error("the filter '" + name + "' is not supported");
    }
    Arguments arguments = acceptOperator("(") ? arguments() : new Arguments(List.of(), Map.of());
    return located(
        line,
        s -> Filters.apply(name, object.value(s), arguments.positional(s), arguments.named(s)));
  }

  private Expression test(Expression object, boolean negated) {
    String name = expectName();
    if (!Tests.NAMES.contains(name)) {
      throw error("the test '" + name + "' is not supported");
    }
    Arguments arguments;
    if (acceptOperator("(")) {
      arguments = arguments();
    } else if (startsTestArgument()) {
      arguments = new Arguments(List.of(postfix(primary())), Map.of());
    } else {
      arguments = new Arguments(List.of(), Map.of());
    }
    return s -> Tests.holds(name, object.value(s), arguments.positional(s)) != negated;
  }

  private boolean startsTestArgument() {
    Token t = peek();
    return switch (t.kind()) {
      case STRING, INTEGER, FLOAT -> true;
      case NAME -> !NO_TEST_ARGUMENT.contains(t.text());
      case OPERATOR -> t.text().equals("[") || t.text().equals("{");
      default -> false;
    };
  }
}
