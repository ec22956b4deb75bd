/** Tensors, gradients, models, data, optimization and the training loop. */
module io.panatron.runtime {
  requires transitive io.panatron.kernels;
  requires transitive jdk.jfr;
  requires jdk.unsupported;
  requires transitive com.fasterxml.jackson.databind;
  requires com.fasterxml.jackson.dataformat.csv;
  requires com.fasterxml.jackson.dataformat.yaml;
  requires ai.djl.tokenizers;
  requires dev.hardwood.core;
  requires java.desktop;
  requires java.net.http;
  requires me.tongfei.progressbar;
  requires xchart;
  requires static transitive org.jspecify;

  exports io.panatron.runtime;
  exports io.panatron.runtime.autograd;
  exports io.panatron.runtime.checkpoint;
  exports io.panatron.runtime.config;
  exports io.panatron.runtime.data;
  exports io.panatron.runtime.data.agent;
  exports io.panatron.runtime.export;
  exports io.panatron.runtime.generate;
  exports io.panatron.runtime.hub;
  exports io.panatron.runtime.model;
  exports io.panatron.runtime.nn;
  exports io.panatron.runtime.observe;
  exports io.panatron.runtime.observe.report;
  exports io.panatron.runtime.optim;
  exports io.panatron.runtime.parallel;
  exports io.panatron.runtime.parallel.pipeline;
  exports io.panatron.runtime.parallel.simulate;
  exports io.panatron.runtime.parallel.timeline;
  exports io.panatron.runtime.parallel.topology;
  exports io.panatron.runtime.quickstart;
  exports io.panatron.runtime.task;
  exports io.panatron.runtime.tensor;
  exports io.panatron.runtime.train;
}
