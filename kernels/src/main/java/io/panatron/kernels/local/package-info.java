/** Communication among ranks that are threads of one virtual machine. */
@NullMarked
package io.panatron.kernels.local;

import org.jspecify.annotations.NullMarked;
