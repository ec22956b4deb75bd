/** What the reference promises besides its formulas, which finite differences check elsewhere. */
@NullMarked
package io.panatron.kernels.reference;

import org.jspecify.annotations.NullMarked;
