/** Tensors, gradients, models, data, optimization and the training loop. */
module io.panatron.runtime {
  requires transitive io.panatron.kernels;
  requires jdk.jfr;
  requires com.fasterxml.jackson.databind;
  requires ai.djl.tokenizers;
  requires jinjava;
  requires me.tongfei.progressbar;
  requires static transitive org.jspecify;

  exports io.panatron.runtime;
}
