/** What a device can do: memory, coarse operations with their gradients, communication. */
module io.panatron.kernels {
  requires io.panatron.bindings;
  requires jdk.incubator.vector;
  requires jdk.jfr;
  requires static transitive org.jspecify;

  exports io.panatron.kernels;
  exports io.panatron.kernels.backends;
}
