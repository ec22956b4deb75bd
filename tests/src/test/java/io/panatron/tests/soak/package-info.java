/** Long runs that must not need more of anything at their end than at their beginning. */
@NullMarked
package io.panatron.tests.soak;

import org.jspecify.annotations.NullMarked;
