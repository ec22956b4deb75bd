/** Native libraries: where they come from and how their failures are told. */
@NullMarked
package io.panatron.bindings;

import org.jspecify.annotations.NullMarked;
