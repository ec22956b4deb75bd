/** Where a rank stands among the others. */
@NullMarked
package io.panatron.runtime.parallel;

import org.jspecify.annotations.NullMarked;
