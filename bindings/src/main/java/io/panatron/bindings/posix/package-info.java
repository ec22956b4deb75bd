/** The one call into the C library that the JDK has no method for. */
@NullMarked
package io.panatron.bindings.posix;

import org.jspecify.annotations.NullMarked;
