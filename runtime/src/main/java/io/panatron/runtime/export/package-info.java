/** Conversion between Hugging Face model folders and checkpoints that a run can load. */
@NullMarked
package io.panatron.runtime.export;

import org.jspecify.annotations.NullMarked;
