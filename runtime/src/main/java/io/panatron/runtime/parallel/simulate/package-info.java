/** Runs pipeline schedules without a model: checks them and measures how long ranks wait. */
@NullMarked
package io.panatron.runtime.parallel.simulate;

import org.jspecify.annotations.NullMarked;
