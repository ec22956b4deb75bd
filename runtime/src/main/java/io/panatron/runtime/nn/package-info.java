/** Layers: ordinary classes with final fields, a forward pass, and named parameters. */
@NullMarked
package io.panatron.runtime.nn;

import org.jspecify.annotations.NullMarked;
