/** What the cpu backend's kernels promise beyond parity with the reference. */
@NullMarked
package io.panatron.kernels.cpu;

import org.jspecify.annotations.NullMarked;
