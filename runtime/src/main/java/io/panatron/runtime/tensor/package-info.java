/** Moving numbers between Java arrays and device tensors. */
@NullMarked
package io.panatron.runtime.tensor;

import org.jspecify.annotations.NullMarked;
