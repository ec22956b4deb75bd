package io.panatron.runtime.config;

/** Where the value of a parameter comes from. */
public enum Provenance {
  /** The table: nobody set it. */
  DEFAULT,
  /** An environment variable, which counts where neither the command line nor the file does. */
  ENVIRONMENT,
  /** The file of {@code --config}. */
  CONFIG_FILE,
  /** The command line, which wins over the file. */
  COMMAND_LINE,
  /** Worked out by the trainer from other values where the user left it unset. */
  DERIVED
}
