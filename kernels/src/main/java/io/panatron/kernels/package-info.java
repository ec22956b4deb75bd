/**
 * The contract between the trainer and a device: memory, coarse operations with their gradients,
 * and communication. Nothing here knows which device it is.
 */
@NullMarked
package io.panatron.kernels;

import org.jspecify.annotations.NullMarked;
