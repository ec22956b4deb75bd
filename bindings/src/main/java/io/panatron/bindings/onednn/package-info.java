/** oneDNN: matrix multiplication on the CPU, thinly wrapped and checked. */
@NullMarked
package io.panatron.bindings.onednn;

import org.jspecify.annotations.NullMarked;
