/**
 * A first training run that needs nothing from outside: small tasks, a tokenizer and the shape of a
 * small model, made from a seed.
 */
@NullMarked
package io.panatron.runtime.quickstart;

import org.jspecify.annotations.NullMarked;
