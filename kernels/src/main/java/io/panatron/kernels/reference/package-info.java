/** The oracle: plain loops with sums in double, sharing no arithmetic with any other backend. */
@NullMarked
package io.panatron.kernels.reference;

import org.jspecify.annotations.NullMarked;
