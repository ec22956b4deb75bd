/** Which ranks work together: sizes of the parallel dimensions, rank order, groups. */
@NullMarked
package io.panatron.runtime.parallel.topology;

import org.jspecify.annotations.NullMarked;
