package io.panatron.runtime.data;

/**
 * A stretch of a rendered conversation whose tokens have one loss weight.
 *
 * @param weight what the losses of its tokens are multiplied with; 0 means that they are no targets
 */
record WeightedText(String text, float weight) {}
