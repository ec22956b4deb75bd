/** Adapters and partial tuning: which parameters a run trains, and what it adds to a model. */
@NullMarked
package io.panatron.runtime.model.lora;

import org.jspecify.annotations.NullMarked;
