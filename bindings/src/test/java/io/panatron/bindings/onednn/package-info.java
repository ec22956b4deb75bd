@NullMarked
package io.panatron.bindings.onednn;

import org.jspecify.annotations.NullMarked;
