/**
 * The host's memory as a device: what the cpu and reference backends share besides their contract.
 */
@NullMarked
package io.panatron.kernels.host;

import org.jspecify.annotations.NullMarked;
