package io.panatron.runtime.data;

import org.jspecify.annotations.Nullable;

/**
 * Samples are trained in packs: {@code --packing}.
 *
 * @param length tokens of a pack, {@code --packing_length}; null means {@code --max_length}
 * @param parts {@code --packing_num_proc}, parts of the data that are packed apart
 */
public record Packing(@Nullable Integer length, int parts) {}
