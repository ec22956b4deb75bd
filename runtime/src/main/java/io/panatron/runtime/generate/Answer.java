package io.panatron.runtime.generate;

/**
 * A sample as text.
 *
 * @param text without special tokens, and without the stop token or stop string that ended it
 */
public record Answer(Completion completion, String text) {}
