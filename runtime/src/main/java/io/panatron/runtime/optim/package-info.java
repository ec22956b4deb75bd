/** Learning-rate schedules, gradient clipping and the optimizers. */
@NullMarked
package io.panatron.runtime.optim;

import org.jspecify.annotations.NullMarked;
