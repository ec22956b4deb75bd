/** Plots of a run as PNG images. */
@NullMarked
package io.panatron.runtime.observe.plot;

import org.jspecify.annotations.NullMarked;
