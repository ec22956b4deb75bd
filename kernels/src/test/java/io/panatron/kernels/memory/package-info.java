/** What pool and scopes promise about memory. */
@NullMarked
package io.panatron.kernels.memory;

import org.jspecify.annotations.NullMarked;
