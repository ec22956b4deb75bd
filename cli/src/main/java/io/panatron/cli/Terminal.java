package io.panatron.cli;

import java.io.Console;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import picocli.CommandLine.Model.CommandSpec;

/**
 * What the terminal can show.
 *
 * @param width columns
 * @param unicode whether it shows more than ASCII
 * @param colour whether it takes ANSI colours
 */
record Terminal(int width, boolean unicode, boolean colour) {
  private static final int UNKNOWN_WIDTH = 100;

  /** The terminal of this process; a file or a pipe is a plain one. */
  static Terminal ofProcess(Map<String, String> environment) {
    Console console = System.console();
    boolean terminal = console != null && console.isTerminal();
    boolean dumb = "dumb".equals(environment.get("TERM"));
    boolean colour = terminal && !dumb && !environment.containsKey("NO_COLOR");
    boolean unicode = System.out.charset().equals(StandardCharsets.UTF_8);
    return new Terminal(terminal ? detectedWidth() : UNKNOWN_WIDTH, unicode, colour);
  }

  /** picocli asks the terminal (with stty) and falls back on 80. */
  private static int detectedWidth() {
    return CommandSpec.create().usageMessage().autoWidth(true).width();
  }
}
