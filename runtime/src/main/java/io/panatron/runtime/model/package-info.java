/** Model families: their configuration, the names of their weights, and their layers. */
@NullMarked
package io.panatron.runtime.model;

import org.jspecify.annotations.NullMarked;
