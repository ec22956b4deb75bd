/** Native libraries as Java sees them: generated bindings and one checked facade per library. */
module io.panatron.bindings {
  requires static transitive org.jspecify;

  exports io.panatron.bindings to
      io.panatron.kernels;
  exports io.panatron.bindings.onednn to
      io.panatron.kernels;
  exports io.panatron.bindings.posix to
      io.panatron.cli,
      io.panatron.kernels;
}
