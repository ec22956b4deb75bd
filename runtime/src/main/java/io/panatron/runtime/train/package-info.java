/** The training loop: steps, evaluation, checkpoints, resume. */
@NullMarked
package io.panatron.runtime.train;

import org.jspecify.annotations.NullMarked;
