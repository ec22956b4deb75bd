/** The command line: parameters, commands, and the start of the program. */
module io.panatron.cli {
  requires io.panatron.bindings;
  requires io.panatron.runtime;
  requires info.picocli;
  requires com.fasterxml.jackson.databind;
  requires com.fasterxml.jackson.dataformat.yaml;
  requires static transitive org.jspecify;

  // picocli fills the fields of the command classes.
  opens io.panatron.cli to
      info.picocli;
}
