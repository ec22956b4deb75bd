/** Opens the backends by name; the one place outside a backend that knows which ones exist. */
@NullMarked
package io.panatron.kernels.backends;

import org.jspecify.annotations.NullMarked;
