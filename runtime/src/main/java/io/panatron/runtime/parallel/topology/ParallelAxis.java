package io.panatron.runtime.parallel.topology;

/** A dimension along which the work is split; in the expert layers with sizes of its own. */
public enum ParallelAxis {
  /** Splits each matrix. In the expert layers its size is the expert-tensor-parallel one. */
  TENSOR("tp"),
  /** Splits the sequence for attention. The expert layers know no such split. */
  CONTEXT("cp"),
  /** Splits the experts of a layer. The dense layers know no such split. */
  EXPERT("ep"),
  /** Splits the batch. */
  DATA("dp"),
  /** Splits the layers. */
  PIPELINE("pp");

  private final String token;

  ParallelAxis(String token) {
    this.token = token;
  }

  /** Its name in an order of ranks, such as {@code tp}. */
  public String token() {
    return token;
  }
}
