/**
 * Reverse-mode differentiation: an explicit tape of coarse operations with hand-written gradients.
 */
@NullMarked
package io.panatron.runtime.autograd;

import org.jspecify.annotations.NullMarked;
