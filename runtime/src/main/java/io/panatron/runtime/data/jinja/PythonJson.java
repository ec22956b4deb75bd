package io.panatron.runtime.data.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** {@code json.dumps} as transformers' {@code tojson} filter calls it. */
final class PythonJson {
  private final @Nullable String indent;
  private final String itemSeparator;
  private final String keySeparator;
  private final boolean sortKeys;
  private final boolean ascii;
  private final StringBuilder out = new StringBuilder();

  private PythonJson(
      @Nullable String indent,
      String itemSeparator,
      String keySeparator,
      boolean sortKeys,
      boolean ascii) {
    this.indent = indent;
    this.itemSeparator = itemSeparator;
    this.keySeparator = keySeparator;
    this.sortKeys = sortKeys;
    this.ascii = ascii;
  }

  static String dump(@Nullable Object value, Map<String, @Nullable Object> options) {
    Object indent = options.get("indent");
    String unit =
        indent == null
            ? null
            : indent instanceof String s ? s : " ".repeat((int) Python.toLong(indent));
    String item = unit == null ? ", " : ",";
    String key = ": ";
    if (options.get("separators") instanceof List<?> pair && pair.size() == 2) {
      item = Python.str(pair.get(0));
      key = Python.str(pair.get(1));
    }
    PythonJson json =
        new PythonJson(
            unit,
            item,
            key,
            Python.truth(options.get("sort_keys")),
            Python.truth(options.get("ensure_ascii")));
    json.write(value, 0);
    return json.out.toString();
  }

  private void write(@Nullable Object v, int depth) {
    switch (v) {
      case null -> out.append("null");
      case Boolean b -> out.append(b);
      case Long n -> out.append(n);
      case Double d -> out.append(Python.number(d));
      case String s -> string(s);
      case List<?> list -> sequence('[', ']', list, depth, item -> write(item, depth + 1));
      case Map<?, ?> map -> {
        Map<?, ?> ordered = sortKeys ? new TreeMap<>(map) : map;
        sequence(
            '{',
            '}',
            new ArrayList<>(ordered.entrySet()),
            depth,
            entry -> {
              Map.Entry<?, ?> e = (Map.Entry<?, ?>) entry;
              string(Python.str(e.getKey()));
              out.append(keySeparator);
              write(e.getValue(), depth + 1);
            });
      }
      default -> throw new JinjaException(Python.type(v) + " cannot be written as JSON");
    }
  }

  private void sequence(
      char open, char close, List<?> items, int depth, java.util.function.Consumer<Object> writer) {
    out.append(open);
    for (int i = 0; i < items.size(); i++) {
      out.append(i == 0 ? "" : itemSeparator);
      newline(depth + 1);
      writer.accept(items.get(i));
    }
    if (!items.isEmpty()) {
      newline(depth);
    }
    out.append(close);
  }

  private void newline(int depth) {
    if (indent != null) {
      out.append('\n').append(indent.repeat(depth));
    }
  }

  private void string(String s) {
    out.append('"');
    for (int i = 0; i < s.length(); i++) {
      char c = s.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        default -> {
          if (c < ' ' || (ascii && c > '~')) {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}
