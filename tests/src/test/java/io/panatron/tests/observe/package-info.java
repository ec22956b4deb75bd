/** What a run shows of itself: TensorBoard's files, plots, the report, trackers. */
@NullMarked
package io.panatron.tests.observe;

import org.jspecify.annotations.NullMarked;
