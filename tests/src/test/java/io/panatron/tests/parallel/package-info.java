/** Runs of several ranks against the run of one. */
@NullMarked
package io.panatron.tests.parallel;

import org.jspecify.annotations.NullMarked;
