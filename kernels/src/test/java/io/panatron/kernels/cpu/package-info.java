@NullMarked
package io.panatron.kernels.cpu;

import org.jspecify.annotations.NullMarked;
