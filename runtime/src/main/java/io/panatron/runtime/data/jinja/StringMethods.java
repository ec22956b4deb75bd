package io.panatron.runtime.data.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The methods of Python strings that templates use. */
final class StringMethods {
  static final Set<String> NAMES =
      Set.of(
          "strip",
          "lstrip",
          "rstrip",
          "split",
          "rsplit",
          "splitlines",
          "startswith",
          "endswith",
          "upper",
          "lower",
          "title",
          "capitalize",
          "replace",
          "join",
          "find",
          "rfind",
          "count",
          "removeprefix",
          "removesuffix",
          "isdigit",
          "isalpha",
          "isspace",
          "isupper",
          "islower");

  private StringMethods() {}

  static @Nullable Object call(
      String s,
      String name,
      List<@Nullable Object> arguments,
      Map<String, @Nullable Object> named) {
    return switch (name) {
      case "strip" -> strip(s, optional(arguments, 0), true, true);
      case "lstrip" -> strip(s, optional(arguments, 0), true, false);
      case "rstrip" -> strip(s, optional(arguments, 0), false, true);
      case "split", "rsplit" -> {
        Object separator = arguments.isEmpty() ? named.get("sep") : arguments.get(0);
        Object limit = arguments.size() > 1 ? arguments.get(1) : named.get("maxsplit");
        int most = limit == null ? -1 : (int) Python.toLong(limit);
        yield separator == null
            ? splitBlanks(s, most, name.equals("rsplit"))
            : split(s, text(separator), most, name.equals("rsplit"));
      }
      case "splitlines" -> {
        List<@Nullable Object> lines = new ArrayList<>();
        s.lines().forEach(lines::add);
        yield lines;
      }
      case "startswith" -> any(required(name, arguments, 0), s::startsWith);
      case "endswith" -> any(required(name, arguments, 0), s::endsWith);
      case "upper" -> s.toUpperCase(Locale.ROOT);
      case "lower" -> s.toLowerCase(Locale.ROOT);
      case "title" -> title(s);
      case "capitalize" -> capitalize(s);
      case "replace" -> replace(s, arguments, named);
      case "join" ->
          Python.iterate(required(name, arguments, 0)).stream()
              .map(StringMethods::text)
              .collect(Collectors.joining(s));
      case "find" -> index(s, s.indexOf(text(required(name, arguments, 0))));
      case "rfind" -> index(s, s.lastIndexOf(text(required(name, arguments, 0))));
      case "count" -> count(s, text(required(name, arguments, 0)));
      case "removeprefix" -> {
        String part = text(required(name, arguments, 0));
        yield s.startsWith(part) ? s.substring(part.length()) : s;
      }
      case "removesuffix" -> {
        String part = text(required(name, arguments, 0));
        yield s.endsWith(part) ? s.substring(0, s.length() - part.length()) : s;
      }
      case "isdigit" -> !s.isEmpty() && s.codePoints().allMatch(Character::isDigit);
      case "isalpha" -> !s.isEmpty() && s.codePoints().allMatch(Character::isLetter);
      case "isspace" -> !s.isEmpty() && s.codePoints().allMatch(Python::isSpace);
      case "isupper" ->
          s.codePoints().anyMatch(Character::isUpperCase)
              && s.codePoints().noneMatch(Character::isLowerCase);
      case "islower" ->
          s.codePoints().anyMatch(Character::isLowerCase)
              && s.codePoints().noneMatch(Character::isUpperCase);
      default -> throw new IllegalArgumentException(name);
    };
  }

  /** Removes characters of {@code set}, or white space when it is null, from the ends. */
  static String strip(String s, @Nullable Object set, boolean left, boolean right) {
    String characters = set == null ? null : text(set);
    int start = 0;
    int end = s.length();
    while (left && start < end && strips(s.codePointAt(start), characters)) {
      start += Character.charCount(s.codePointAt(start));
    }
    while (right && end > start && strips(s.codePointBefore(end), characters)) {
      end -= Character.charCount(s.codePointBefore(end));
    }
    return s.substring(start, end);
  }

  private static boolean strips(int c, @Nullable String characters) {
    return characters == null ? Python.isSpace(c) : characters.indexOf(c) >= 0;
  }

  private static List<@Nullable Object> split(String s, String by, int most, boolean fromRight) {
    if (by.isEmpty()) {
      throw new JinjaException("'split' has an empty separator");
    }
    List<@Nullable Object> parts = new ArrayList<>();
    String rest = s;
    while (most < 0 || parts.size() < most) {
      int i = fromRight ? rest.lastIndexOf(by) : rest.indexOf(by);
      if (i < 0) {
        break;
      }
      parts.add(fromRight ? rest.substring(i + by.length()) : rest.substring(0, i));
      rest = fromRight ? rest.substring(0, i) : rest.substring(i + by.length());
    }
    parts.add(rest);
    return fromRight ? parts.reversed() : parts;
  }

  private static List<@Nullable Object> splitBlanks(String s, int most, boolean fromRight) {
    List<@Nullable Object> parts = new ArrayList<>();
    String rest = strip(s, null, !fromRight, fromRight);
    while (!rest.isEmpty()) {
      int cut = (most >= 0 && parts.size() == most) ? -1 : blank(rest, fromRight);
      if (cut < 0) {
        parts.add(rest);
        break;
      }
      parts.add(fromRight ? rest.substring(cut + 1) : rest.substring(0, cut));
      rest = fromRight ? rest.substring(0, cut + 1) : rest.substring(cut);
      rest = strip(rest, null, !fromRight, fromRight);
    }
    return fromRight ? parts.reversed() : parts;
  }

  /** Index of the first (last) blank character; all of Python's blanks are single chars. */
  private static int blank(String s, boolean last) {
    for (int k = 0; k < s.length(); k++) {
      int i = last ? s.length() - 1 - k : k;
      if (Python.isSpace(s.charAt(i))) {
        return i;
      }
    }
    return -1;
  }

  private static boolean any(
      @Nullable Object candidates, java.util.function.Predicate<String> condition) {
    return candidates instanceof List<?> list
        ? list.stream().map(StringMethods::text).anyMatch(condition)
        : condition.test(text(candidates));
  }

  private static String replace(
      String s, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    String from = text(required("replace", arguments, 0));
    String to = text(required("replace", arguments, 1));
    Object limit = arguments.size() > 2 ? arguments.get(2) : named.get("count");
    if (limit == null || Python.toLong(limit) < 0) {
      return s.replace(from, to);
    }
    String pattern = java.util.regex.Pattern.quote(from);
    String result = s;
    StringBuilder done = new StringBuilder();
    java.util.regex.Matcher m = java.util.regex.Pattern.compile(pattern).matcher(result);
    for (long i = 0; i < Python.toLong(limit) && m.find(); i++) {
      m.appendReplacement(done, java.util.regex.Matcher.quoteReplacement(to));
    }
    return m.appendTail(done).toString();
  }

  private static long index(String s, int i) {
    return i < 0 ? -1 : s.codePointCount(0, i);
  }

  private static long count(String s, String part) {
    if (part.isEmpty()) {
      return Python.length(s) + 1;
    }
    long n = 0;
    for (int i = s.indexOf(part); i >= 0; i = s.indexOf(part, i + part.length())) {
      n++;
    }
    return n;
  }

  static String capitalize(String s) {
    if (s.isEmpty()) {
      return s;
    }
    int first = s.offsetByCodePoints(0, 1);
    return s.substring(0, first).toUpperCase(Locale.ROOT)
        + s.substring(first).toLowerCase(Locale.ROOT);
  }

  static String title(String s) {
    StringBuilder text = new StringBuilder();
    boolean inWord = false;
    for (int c : s.codePoints().toArray()) {
      text.appendCodePoint(inWord ? Character.toLowerCase(c) : Character.toTitleCase(c));
      inWord = Character.isLetter(c);
    }
    return text.toString();
  }

  private static @Nullable Object optional(List<@Nullable Object> arguments, int i) {
    return i < arguments.size() ? arguments.get(i) : null;
  }

  private static @Nullable Object required(String name, List<@Nullable Object> arguments, int i) {
    return Members.argument(name, arguments, i);
  }

  private static String text(@Nullable Object v) {
    if (v instanceof String s) {
      return s;
    }
    throw new JinjaException("a string is needed, not " + Python.type(v));
  }
}
