/**
 * From data files to micro-batches: tokenizers, chat templates, loss masks, samplers and batches.
 *
 * <p>Everything that a training run sees follows from the files, the settings, the seeds and the
 * number of samples consumed, so a resumed run gets the batches of an uninterrupted one. The path
 * of a row: {@link io.panatron.runtime.data.source.RowFile} → {@link
 * io.panatron.runtime.data.RowParser} → {@link io.panatron.runtime.data.SampleEncoder} → {@link
 * io.panatron.runtime.data.MicroBatch}, in the order of a {@link
 * io.panatron.runtime.data.BatchSampler}.
 */
@NullMarked
package io.panatron.runtime.data;

import org.jspecify.annotations.NullMarked;
