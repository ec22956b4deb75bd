/** How layers are split into pipeline stages, and in which order stages compute and communicate. */
@NullMarked
package io.panatron.runtime.parallel.pipeline;

import org.jspecify.annotations.NullMarked;
