/** Pictures of what the ranks of a pipeline do over time, planned or measured. */
@NullMarked
package io.panatron.runtime.parallel.timeline;

import org.jspecify.annotations.NullMarked;
