package io.panatron.runtime.data.jinja;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * Cuts a template into text and the tokens of its tags.
 *
 * <p>White space follows Jinja2 with {@code trim_blocks} and {@code lstrip_blocks} on and {@code
 * keep_trailing_newline} off, the settings of transformers: one newline after a block or comment
 * tag goes away, as do blanks between the start of a line and such a tag; {@code -} strips all
 * white space on its side and {@code +} keeps it.
 */
final class JinjaLexer {
  /** What a token is. Operators, brackets and tag delimiters are all {@code OPERATOR}. */
  enum Kind {
    TEXT,
    NAME,
    STRING,
    INTEGER,
    FLOAT,
    OPERATOR,
    BLOCK_BEGIN,
    BLOCK_END,
    OUTPUT_BEGIN,
    OUTPUT_END,
    END
  }

  record Token(Kind kind, String text, int line) {
    boolean is(Kind k, String t) {
      return kind == k && text.equals(t);
    }
  }

  private static final List<String> OPERATORS =
      List.of(
          "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")",
          "[", "]", "{", "}", ".", ",", ":", "|");

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int position;
  private int line = 1;

  private JinjaLexer(String source) {
    this.source = source;
  }

  static List<Token> tokenize(String template) {
    String source = template.replace("\r\n", "\n").replace('\r', '\n');
    if (source.endsWith("\n")) {
      source = source.substring(0, source.length() - 1);
    }
    JinjaLexer lexer = new JinjaLexer(source);
    lexer.run();
    return lexer.tokens;
  }

  private void run() {
    boolean stripNext = false;
    boolean trimNewline = false;
    while (true) {
      int tag = nextTag(position);
      int end = tag < 0 ? source.length() : tag;
      String text = source.substring(position, end);
      int textLine = line;
      advanceTo(end);
      if (stripNext) {
        text = text.stripLeading();
      } else if (trimNewline && text.startsWith("\n")) {
        text = text.substring(1);
      }
      if (tag < 0) {
        addText(text, textLine);
        tokens.add(new Token(Kind.END, "", line));
        return;
      }
      char type = source.charAt(tag + 1);
      char control = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
      if (control == '-') {
        text = text.stripTrailing();
      } else if (type != '{' && control != '+') {
        text = stripLineStart(text, tag);
      }
      addText(text, textLine);
      advanceTo(tag + (control == '-' || control == '+' ? 3 : 2));
      char ending;
      if (type == '#') {
        ending = comment();
      } else if (type == '%' && rawAhead()) {
        ending = raw();
      } else {
        ending = tag(type == '%');
      }
      stripNext = ending == '-';
      trimNewline = type != '{' && ending != '+';
    }
  }

  private int nextTag(int from) {
    for (int i = source.indexOf('{', from); i >= 0; i = source.indexOf('{', i + 1)) {
      if (i + 1 < source.length() && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  /** Drops the blanks between the start of the tag's line and the tag, if nothing else is there. */
  private String stripLineStart(String text, int tag) {
    int i = text.length();
    while (i > 0 && (text.charAt(i - 1) == ' ' || text.charAt(i - 1) == '\t')) {
      i--;
    }
    int before = tag - (text.length() - i) - 1;
    boolean atLineStart = before < 0 || source.charAt(before) == '\n';
    return atLineStart ? text.substring(0, i) : text;
  }

  private void addText(String text, int textLine) {
    if (!text.isEmpty()) {
      tokens.add(new Token(Kind.TEXT, text, textLine));
    }
  }

  private char comment() {
    int end = source.indexOf("#}", position);
    if (end < 0) {
      throw error("a comment is not closed by #}");
    }
    char control = end > position ? source.charAt(end - 1) : ' ';
    advanceTo(end + 2);
    return control;
  }

  private boolean rawAhead() {
    return source.substring(position).matches("(?s)\\s*raw\\s*[-+]?%\\}.*");
  }

  private char raw() {
    int open = source.indexOf("%}", position);
    boolean strip = source.charAt(open - 1) == '-';
    java.util.regex.Matcher close =
        java.util.regex.Pattern.compile("\\{%([-+]?)\\s*endraw\\s*([-+]?)%\\}").matcher(source);
    if (!close.find(open + 2)) {
      throw error("{% raw %} has no {% endraw %}");
    }
    String text = source.substring(open + 2, close.start());
    if (strip) {
      text = text.stripLeading();
    } else if (text.startsWith("\n")) {
      text = text.substring(1);
    }
    text = close.group(1).equals("-") ? text.stripTrailing() : stripLineStart(text, close.start());
    addText(text, line);
    advanceTo(close.end());
    return close.group(2).isEmpty() ? ' ' : close.group(2).charAt(0);
  }

  /**
   * Reads the tokens of one tag up to and including its end; returns the end's white space mark.
   */
  private char tag(boolean block) {
    tokens.add(new Token(block ? Kind.BLOCK_BEGIN : Kind.OUTPUT_BEGIN, "", line));
    String closing = block ? "%}" : "}}";
    Deque<Character> open = new ArrayDeque<>();
    while (true) {
      skipBlanks();
      if (position >= source.length()) {
        throw error("a tag is not closed by " + closing);
      }
      if (open.isEmpty()) {
        int mark = "-+".indexOf(source.charAt(position)) >= 0 ? 1 : 0;
        if (source.startsWith(closing, position + mark)) {
          char ending = mark == 1 ? source.charAt(position) : ' ';
          tokens.add(new Token(block ? Kind.BLOCK_END : Kind.OUTPUT_END, "", line));
          advanceTo(position + mark + 2);
          return ending;
        }
      }
      char c = source.charAt(position);
      if (c == '\'' || c == '"') {
        string(c);
      } else if (Character.isDigit(c)) {
        number();
      } else if (Character.isLetter(c) || c == '_') {
        int start = position;
        int end = start;
        while (end < source.length()
            && (Character.isLetterOrDigit(source.charAt(end)) || source.charAt(end) == '_')) {
          end++;
        }
        tokens.add(new Token(Kind.NAME, source.substring(start, end), line));
        position = end;
      } else {
        operator(open);
      }
    }
  }

  private void operator(Deque<Character> open) {
    for (String operator : OPERATORS) {
      if (source.startsWith(operator, position)) {
        char c = operator.charAt(0);
        if (operator.length() == 1 && "([{".indexOf(c) >= 0) {
          open.push(c);
        } else if (operator.length() == 1 && ")]}".indexOf(c) >= 0) {
          if (open.isEmpty() || ")]}".indexOf(c) != "([{".indexOf(open.pop())) {
            throw error("'" + c + "' closes nothing");
          }
        }
        tokens.add(new Token(Kind.OPERATOR, operator, line));
        position += operator.length();
        return;
      }
    }
    throw error("unexpected character '" + source.charAt(position) + "'");
  }

  private void number() {
    int start = position;
    int i = start;
    boolean fraction = false;
    while (i < source.length()) {
      char c = source.charAt(i);
      if (c == '.' && !fraction && i + 1 < source.length() && isDigit(source.charAt(i + 1))) {
        fraction = true;
      } else if ((c == 'e' || c == 'E') && i + 1 < source.length()) {
        int sign = "+-".indexOf(source.charAt(i + 1)) >= 0 ? 1 : 0;
        if (i + 1 + sign >= source.length() || !isDigit(source.charAt(i + 1 + sign))) {
          break;
        }
        fraction = true;
        i += sign;
      } else if (!isDigit(c) && c != '_') {
        break;
      }
      i++;
    }
    String text = source.substring(start, i).replace("_", "");
    tokens.add(new Token(fraction ? Kind.FLOAT : Kind.INTEGER, text, line));
    position = i;
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  private void string(char quote) {
    int startLine = line;
    StringBuilder text = new StringBuilder();
    int i = position + 1;
    while (true) {
      if (i >= source.length()) {
        throw error("a string is not closed");
      }
      char c = source.charAt(i);
      if (c == quote) {
        break;
      }
      if (c == '\\' && i + 1 < source.length()) {
        i = escape(i + 1, text);
      } else {
        text.append(c);
        i++;
      }
    }
    advanceTo(i + 1);
    tokens.add(new Token(Kind.STRING, text.toString(), startLine));
  }

  /** Decodes the escape whose letter stands at {@code i}; returns the index after it. */
  private int escape(int i, StringBuilder text) {
    char c = source.charAt(i);
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
      try {
        text.appendCodePoint(Integer.parseInt(source, i + 1, i + 1 + digits, 16));
      } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
        throw error("bad escape \\" + c + " in a string");
      }
      return i + 1 + digits;
    }
    int known = "ntrabfv0".indexOf(c);
    if (known >= 0) {
      text.append("\n\t\r\u0007\b\f\u000b\0".charAt(known));
    } else if (c == '\\' || c == '\'' || c == '"') {
      text.append(c);
    } else if (c != '\n') {
      text.append('\\').append(c);
    }
    return i + 1;
  }

  private void skipBlanks() {
    int i = position;
    while (i < source.length() && Character.isWhitespace(source.charAt(i))) {
      i++;
    }
    advanceTo(i);
  }

  private void advanceTo(int target) {
    for (int i = position; i < target; i++) {
      if (source.charAt(i) == '\n') {
        line++;
      }
    }
    position = target;
  }

  private JinjaException error(String what) {
    return new JinjaException("line " + line + ": " + what);
  }
}
