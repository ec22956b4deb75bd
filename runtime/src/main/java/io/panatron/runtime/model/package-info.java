/** Model configurations, families, weights and the transformer itself. */
@NullMarked
package io.panatron.runtime.model;

import org.jspecify.annotations.NullMarked;
