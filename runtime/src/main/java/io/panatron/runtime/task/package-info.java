/** Losses and measures of sequences: classification, embedding, reranking. */
@NullMarked
package io.panatron.runtime.task;

import org.jspecify.annotations.NullMarked;
