package io.panatron.runtime.data.jinja;

import io.panatron.runtime.data.jinja.JinjaLexer.Kind;
import io.panatron.runtime.data.jinja.JinjaLexer.Token;
import java.util.List;

/** The tokens of a template and the place that a parser has reached in them. */
class TokenCursor {
  private final List<Token> tokens;
  private int at;

  TokenCursor(List<Token> tokens) {
    this.tokens = tokens;
  }

  final Token peek() {
    return tokens.get(at);
  }

  final Token next() {
    Token t = tokens.get(at);
    if (t.kind() != Kind.END) {
      at++;
    }
    return t;
  }

  /** The token after the next one. */
  final Token afterNext() {
    return tokens.get(Math.min(at + 1, tokens.size() - 1));
  }

  final boolean accept(Kind kind, String text) {
    if (peek().is(kind, text)) {
      at++;
      return true;
    }
    return false;
  }

  final boolean acceptOperator(String text) {
    return accept(Kind.OPERATOR, text);
  }

  final void expectOperator(String text) {
    if (!acceptOperator(text)) {
      throw error("expected '" + text + "' but found '" + peek().text() + "'");
    }
  }

  final String expectName() {
    Token t = next();
    if (t.kind() != Kind.NAME) {
      throw error("expected a name but found '" + t.text() + "'");
    }
    return t.text();
  }

  final JinjaException error(String what) {
    return new JinjaException("line " + peek().line() + ": " + what);
  }
}
