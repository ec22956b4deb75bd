package io.panatron.runtime.data.jinja;

import io.panatron.runtime.data.jinja.JinjaLexer.Kind;
import io.panatron.runtime.data.jinja.JinjaLexer.Token;
import io.panatron.runtime.data.jinja.Members.Namespace;
import io.panatron.runtime.data.jinja.Scope.Callable;
import io.panatron.runtime.data.jinja.Scope.Expression;
import io.panatron.runtime.data.jinja.Scope.Flow;
import io.panatron.runtime.data.jinja.Scope.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads statements: if, for, set, macro, filter, break, continue, generation and output. */
final class TemplateParser extends ExpressionParser {
  private static final int MAX_MACRO_DEPTH = 100;

  private int loops;
  private int blocks;

  private TemplateParser(List<Token> tokens) {
    super(tokens);
  }

  static Statement parse(String source) {
    TemplateParser parser = new TemplateParser(JinjaLexer.tokenize(source));
    Statement body = parser.body(Set.of());
    if (parser.peek().kind() != Kind.END) {
      throw parser.error("'" + parser.peek().text() + "' closes nothing");
    }
    return body;
  }

  /** Reads up to a block whose first word is in {@code ends}, leaving that word as next token. */
  private Statement body(Set<String> ends) {
    if (++blocks > 100) {
      throw error("blocks are nested too deeply");
    }
    List<Statement> statements = new ArrayList<>();
    while (true) {
      Token t = next();
      switch (t.kind()) {
        case TEXT ->
            statements.add((s, out) -> {
              out.append(t.text());
              return Flow.NEXT;
            });
        case OUTPUT_BEGIN -> {
          Expression e = tuple();
          endOutput();
          statements.add((s, out) -> {
            out.append(Python.str(e.value(s)));
            return Flow.NEXT;
          });
        }
        case BLOCK_BEGIN -> {
          if (peek().kind() == Kind.NAME && ends.contains(peek().text())) {
            blocks--;
            return sequence(statements);
          }
          statements.add(statement());
        }
        case END -> {
          if (!ends.isEmpty()) {
            throw error(
                "the template ends where one of " + new java.util.TreeSet<>(ends) + " is missing");
          }
          blocks--;
          return sequence(statements);
        }
        default -> throw error("unexpected '" + t.text() + "'");
      }
    }
  }

  private static Statement sequence(List<Statement> statements) {
    Statement[] all = statements.toArray(new Statement[0]);
    return (s, out) -> {
      for (Statement statement : all) {
        Flow flow = statement.run(s, out);
        if (flow != Flow.NEXT) {
          return flow;
        }
      }
      return Flow.NEXT;
    };
  }

  private void endOutput() {
    if (next().kind() != Kind.OUTPUT_END) {
      throw error("expected }}");
    }
  }

  private void endBlock() {
    Token t = next();
    if (t.kind() != Kind.BLOCK_END) {
      throw error("expected %} but found '" + t.text() + "'");
    }
  }

  private Statement statement() {
    String word = expectName();
    return switch (word) {
      case "if" -> condition();
      case "for" -> loop();
      case "set" -> set();
      case "macro" -> macro();
      case "filter" -> filterBlock();
      case "generation" -> {
        endBlock();
        Statement inside = body(Set.of("endgeneration"));
        next();
        endBlock();
        yield inside;
      }
      case "break", "continue" -> {
        if (loops == 0) {
          throw error("'" + word + "' stands outside a loop");
        }
        endBlock();
        Flow flow = word.equals("break") ? Flow.BREAK : Flow.CONTINUE;
        yield (s, out) -> flow;
      }
      default -> throw error("the statement '" + word + "' is not supported");
    };
  }

  private Statement condition() {
    Expression test = tuple();
    endBlock();
    Statement then = body(Set.of("elif", "else", "endif"));
    String word = expectName();
    Statement otherwise;
    if (word.equals("elif")) {
      otherwise = condition();
    } else if (word.equals("else")) {
      endBlock();
      otherwise = body(Set.of("endif"));
      next();
      endBlock();
    } else {
      endBlock();
      otherwise = (s, out) -> Flow.NEXT;
    }
    return (s, out) -> Python.truth(test.value(s)) ? then.run(s, out) : otherwise.run(s, out);
  }

  private List<String> targets() {
    boolean parenthesis = acceptOperator("(");
    List<String> names = new ArrayList<>(List.of(expectName()));
    while (acceptOperator(",")) {
      names.add(expectName());
    }
    if (parenthesis) {
      expectOperator(")");
    }
    return names;
  }

  private static void assign(Scope s, List<String> names, @Nullable Object value) {
    if (names.size() == 1) {
      s.set(names.get(0), value);
      return;
    }
    List<@Nullable Object> values = Python.iterate(value);
    if (values.size() != names.size()) {
      throw new JinjaException(
          values.size() + " values do not fit the " + names.size() + " names " + names);
    }
    for (int i = 0; i < names.size(); i++) {
      s.set(names.get(i), values.get(i));
    }
  }

  private Statement loop() {
    List<String> names = targets();
    if (!accept(Kind.NAME, "in")) {
      throw error("expected 'in' after the loop's names");
    }
    Expression items = or();
    Expression filter = accept(Kind.NAME, "if") ? expression() : null;
    if (peek().is(Kind.NAME, "recursive")) {
      throw error("recursive loops are not supported");
    }
    endBlock();
    loops++;
    Statement body = body(Set.of("else", "endfor"));
    loops--;
    Statement otherwise = (s, out) -> Flow.NEXT;
    if (expectName().equals("else")) {
      endBlock();
      otherwise = body(Set.of("endfor"));
      next();
    }
    endBlock();
    Statement empty = otherwise;
    return (s, out) -> {
      List<@Nullable Object> values = new ArrayList<>();
      for (Object value : Python.iterate(items.value(s))) {
        if (filter != null) {
          Scope candidate = new Scope(s);
          assign(candidate, names, value);
          if (!Python.truth(filter.value(candidate))) {
            continue;
          }
        }
        values.add(value);
      }
      // As Jinja2 compiles it, an iteration left by break or continue does not suppress 'else'.
      boolean completed = false;
      for (int i = 0; i < values.size(); i++) {
        Scope inner = new Scope(s);
        assign(inner, names, values.get(i));
        inner.set("loop", new LoopState(values, i));
        Flow flow = body.run(inner, out);
        if (flow == Flow.BREAK) {
          break;
        }
        completed |= flow == Flow.NEXT;
      }
      return completed ? Flow.NEXT : empty.run(s, out);
    };
  }

  /** The variable {@code loop}. */
  private record LoopState(List<@Nullable Object> values, int index) implements Members.Attributes {
    @Override
    public @Nullable Object attribute(String name) {
      int n = values.size();
      return switch (name) {
        case "index" -> index + 1L;
        case "index0" -> (long) index;
        case "revindex" -> (long) (n - index);
        case "revindex0" -> n - index - 1L;
        case "first" -> index == 0;
        case "last" -> index == n - 1;
        case "length" -> (long) n;
        case "previtem" -> index > 0 ? values.get(index - 1) : new Undefined("loop.previtem");
        case "nextitem" -> index < n - 1 ? values.get(index + 1) : new Undefined("loop.nextitem");
        case "cycle" ->
            (Callable)
                (arguments, named) ->
                    Members.argument("cycle", arguments, index % Math.max(1, arguments.size()));
        default -> throw new JinjaException("'loop." + name + "' is not supported");
      };
    }
  }

  private Statement set() {
    List<String> names = new ArrayList<>(List.of(expectName()));
    if (acceptOperator(".")) {
      String attribute = expectName();
      expectOperator("=");
      Expression value = tuple();
      endBlock();
      String name = names.get(0);
      return (s, out) -> {
        if (!(s.get(name) instanceof Namespace namespace)) {
          throw new JinjaException("'" + name + "' is not a namespace, so it cannot be changed");
        }
        namespace.values().put(attribute, value.value(s));
        return Flow.NEXT;
      };
    }
    while (acceptOperator(",")) {
      names.add(expectName());
    }
    if (acceptOperator("=")) {
      Expression value = tuple();
      endBlock();
      return (s, out) -> {
        assign(s, names, value.value(s));
        return Flow.NEXT;
      };
    }
    Expression text = s -> s.get(CAPTURED);
    while (acceptOperator("|")) {
      text = filter(text, peek().line());
    }
    endBlock();
    Statement body = body(Set.of("endset"));
    next();
    endBlock();
    Expression captured = text;
    return (s, out) -> {
      assign(s, names, capture(s, body, captured));
      return Flow.NEXT;
    };
  }

  /** Not a legal name of a template, so it cannot meet one of its variables. */
  private static final String CAPTURED = "<captured text>";

  private static @Nullable Object capture(Scope s, Statement body, Expression of) {
    StringBuilder text = new StringBuilder();
    body.run(new Scope(s), text);
    Scope inner = new Scope(s);
    inner.set(CAPTURED, text.toString());
    return of.value(inner);
  }

  private Statement filterBlock() {
    Expression text = s -> s.get(CAPTURED);
    do {
      text = filter(text, peek().line());
    } while (acceptOperator("|"));
    endBlock();
    Statement body = body(Set.of("endfilter"));
    next();
    endBlock();
    Expression filtered = text;
    return (s, out) -> {
      out.append(Python.str(capture(s, body, filtered)));
      return Flow.NEXT;
    };
  }

  private Statement macro() {
    String name = expectName();
    expectOperator("(");
    Map<String, @Nullable Expression> parameters = new LinkedHashMap<>();
    while (!acceptOperator(")")) {
      if (!parameters.isEmpty()) {
        expectOperator(",");
      }
      String parameter = expectName();
      parameters.put(parameter, acceptOperator("=") ? expression() : null);
    }
    endBlock();
    int outerLoops = loops;
    loops = 0;
    Statement body = body(Set.of("endmacro"));
    loops = outerLoops;
    next();
    endBlock();
    List<String> order = new ArrayList<>(parameters.keySet());
    return (s, out) -> {
      int[] depth = {0};
      Callable macro =
          (arguments, named) -> {
            if (arguments.size() > order.size() || !order.containsAll(named.keySet())) {
              throw new JinjaException("the macro '" + name + "' takes the arguments " + order);
            }
            Scope inner = new Scope(s);
            for (int i = 0; i < order.size(); i++) {
              String parameter = order.get(i);
              Expression standard = parameters.get(parameter);
              inner.set(
                  parameter,
                  i < arguments.size()
                      ? arguments.get(i)
                      : named.containsKey(parameter)
                          ? named.get(parameter)
                          : standard == null ? new Undefined(parameter) : standard.value(inner));
            }
            if (++depth[0] > MAX_MACRO_DEPTH) {
              throw new JinjaException("the macro '" + name + "' calls itself too often");
            }
            StringBuilder text = new StringBuilder();
            body.run(inner, text);
            depth[0]--;
            return text.toString();
          };
      s.set(name, macro);
      return Flow.NEXT;
    };
  }
}
