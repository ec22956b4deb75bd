/** What a run shows while it runs: JFR events, the log file, the terminal. */
@NullMarked
package io.panatron.runtime.observe;

import org.jspecify.annotations.NullMarked;
