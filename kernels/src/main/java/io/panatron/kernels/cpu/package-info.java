/**
 * The CPU backend: matrix products by oneDNN, everything else by the Vector API, on one worker
 * pool.
 */
@NullMarked
package io.panatron.kernels.cpu;

import org.jspecify.annotations.NullMarked;
