package io.panatron.runtime.data.jinja;

import io.panatron.runtime.data.jinja.Scope.Callable;
import io.panatron.runtime.data.jinja.Scope.Statement;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A chat template, read once and rendered often, from any number of threads.
 *
 * <p>Source: Jinja2's template designer documentation, and transformers' {@code
 * utils/chat_template_utils.py} for the settings and the added functions.
 */
public final class JinjaTemplate {
  private static final int MAX_RANGE = 1_000_000;
  private static final Pattern FIELD = Pattern.compile("%-?([A-Za-z])");

  private final String source;
  private final Statement body;
  private final ZonedDateTime now;

  private JinjaTemplate(String source, Statement body, ZonedDateTime now) {
    this.source = source;
    this.body = body;
    this.now = now;
  }

  /**
   * Reads a template.
   *
   * @param now what {@code strftime_now} formats, fixed for the template's life so that a run that
   *     passes midnight sees one prompt
   * @throws JinjaException if the source has an error or uses an unknown construct
   */
  public static JinjaTemplate parse(String source, ZonedDateTime now) {
    return new JinjaTemplate(source, TemplateParser.parse(source), now);
  }

  /**
   * What its renderings depend on besides their variables: the source, and the day, hour, minute or
   * second if it asks for it.
   */
  public String identity() {
    if (!isDated()) {
      return source;
    }
    ChronoUnit unit = finestUnit();
    return source + (unit == ChronoUnit.DAYS ? now.toLocalDate() : now.truncatedTo(unit));
  }

  /** The finest unit of time among the fields that the source may hand to strftime. */
  private ChronoUnit finestUnit() {
    // A tag such as {%-if is no field; a field that is none of strftime's does no harm.
    Matcher fields = FIELD.matcher(source.replace("{%", ""));
    ChronoUnit finest = ChronoUnit.FOREVER;
    while (fields.find()) {
      ChronoUnit unit =
          switch (fields.group(1).charAt(0)) {
            case 'S', 'T' -> ChronoUnit.SECONDS;
            case 'M' -> ChronoUnit.MINUTES;
            case 'H', 'I', 'p' -> ChronoUnit.HOURS;
            default -> ChronoUnit.DAYS;
          };
      finest = unit.compareTo(finest) < 0 ? unit : finest;
    }
    // Without a field in the source the format is made of pieces, which may ask for anything.
    return finest == ChronoUnit.FOREVER ? ChronoUnit.SECONDS : finest;
  }

  /** Whether it asks for the time. */
  public boolean isDated() {
    return source.contains("strftime_now");
  }

  /**
   * Renders with the given variables: null, Boolean, Long, Double, String, and lists and
   * string-keyed maps of these.
   *
   * @throws JinjaException if an operation fails or the template calls {@code raise_exception}
   */
  public String render(Map<String, ? extends @Nullable Object> variables) {
    Scope globals = new Scope(null);
    globals.set("raise_exception", (Callable) JinjaTemplate::raise);
    globals.set("strftime_now", (Callable) this::strftime);
    globals.set("range", (Callable) JinjaTemplate::range);
    globals.set("dict", (Callable) (arguments, named) -> new LinkedHashMap<>(named));
    globals.set("namespace", (Callable) JinjaTemplate::namespace);
    Scope scope = new Scope(globals);
    variables.forEach(scope::set);
    StringBuilder out = new StringBuilder();
    body.run(scope, out);
    return out.toString();
  }

  private static Object raise(
      List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    throw new JinjaException(
        "the template says: " + Python.str(Members.argument("raise_exception", arguments, 0)));
  }

  private static Object namespace(
      List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    Map<String, @Nullable Object> values = new LinkedHashMap<>();
    if (!arguments.isEmpty() && arguments.get(0) instanceof Map<?, ?> map) {
      map.forEach((k, v) -> values.put(Python.str(k), v));
    }
    values.putAll(named);
    return new Members.Namespace(values);
  }

  private static Object range(
      List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    long start = arguments.size() > 1 ? Python.toLong(arguments.get(0)) : 0;
    long stop = Python.toLong(Members.argument("range", arguments, arguments.size() > 1 ? 1 : 0));
    long step = arguments.size() > 2 ? Python.toLong(arguments.get(2)) : 1;
    if (step == 0) {
      throw new JinjaException("'range' has step 0");
    }
    List<@Nullable Object> values = new ArrayList<>();
    for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
      if (values.size() >= MAX_RANGE) {
        throw new JinjaException("'range' is longer than " + MAX_RANGE);
      }
      values.add(i);
    }
    return values;
  }

  private Object strftime(List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
    String format = Python.str(Members.argument("strftime_now", arguments, 0));
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 == format.length()) {
        text.append(c);
        continue;
      }
      char field = format.charAt(++i);
      boolean unpadded = field == '-' && i + 1 < format.length();
      if (unpadded) {
        field = format.charAt(++i);
      }
      String value = field == '%' ? "%" : format(field);
      text.append(unpadded ? value.replaceFirst("^0+(?=.)", "") : value);
    }
    return text.toString();
  }

  private String format(char field) {
    String pattern =
        switch (field) {
          case 'Y' -> "yyyy";
          case 'y' -> "yy";
          case 'm' -> "MM";
          case 'd' -> "dd";
          case 'H' -> "HH";
          case 'I' -> "hh";
          case 'M' -> "mm";
          case 'S' -> "ss";
          case 'p' -> "a";
          case 'b' -> "MMM";
          case 'B' -> "MMMM";
          case 'a' -> "EEE";
          case 'A' -> "EEEE";
          case 'j' -> "DDD";
          case 'F' -> "yyyy-MM-dd";
          case 'T' -> "HH:mm:ss";
          default -> throw new JinjaException("strftime's %" + field + " is not supported");
        };
    return DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(now);
  }
}
