/** Every backward operation against finite differences of its forward, in F64 on the reference. */
@NullMarked
package io.panatron.tests.gradient;

import org.jspecify.annotations.NullMarked;
