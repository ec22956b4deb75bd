package io.panatron.runtime.config;

import java.util.List;
import java.util.regex.Pattern;

/** Writes arguments of {@code trainer} as a line that can be pasted into a shell. */
public final class ShellCommand {
  private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9_@%+=:,./-]+");

  private ShellCommand() {}

  /**
   * The command, with one option on each line if it is long.
   *
   * @param arguments the command's name, then options and values
   */
  public static String of(List<String> arguments) {
    StringBuilder text = new StringBuilder("  ./trainer");
    int lineStart = 0;
    for (String argument : arguments) {
      String word = PLAIN.matcher(argument).matches() ? argument : quoted(argument);
      boolean option = argument.startsWith("--");
      if (option && text.length() - lineStart > 70) {
        text.append(" \\\n   ");
        lineStart = text.length();
      }
      text.append(' ').append(word);
    }
    return text.toString();
  }

  private static String quoted(String argument) {
    return "'" + argument.replace("'", "'\\''") + "'";
  }
}
