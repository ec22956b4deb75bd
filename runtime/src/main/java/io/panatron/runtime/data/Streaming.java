package io.panatron.runtime.data;

import org.jspecify.annotations.Nullable;

/**
 * Training rows are read and tokenized while training goes on: {@code --streaming}.
 *
 * @param shuffleBuffer rows of which the next is drawn, where {@code --dataset_shuffle} asks for it
 * @param maxEpochs how often the data are read; null for as often as it takes
 */
public record Streaming(int shuffleBuffer, @Nullable Integer maxEpochs) {}
