/**
 * The parameters of every command: their table, the parsing of values, and the checks between them.
 */
@NullMarked
package io.panatron.runtime.config;

import org.jspecify.annotations.NullMarked;
