/** A page about one run or several: figures, curves, data and commands in a single HTML file. */
@NullMarked
package io.panatron.runtime.observe.report;

import org.jspecify.annotations.NullMarked;
