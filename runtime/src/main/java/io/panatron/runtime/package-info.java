/** The trainer's own types: what every package of the runtime may use. */
@NullMarked
package io.panatron.runtime;

import org.jspecify.annotations.NullMarked;
