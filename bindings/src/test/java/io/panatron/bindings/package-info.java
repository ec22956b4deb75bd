@NullMarked
package io.panatron.bindings;

import org.jspecify.annotations.NullMarked;
