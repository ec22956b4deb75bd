/** Every operation of every backend against the reference backend on the same inputs. */
@NullMarked
package io.panatron.tests.parity;

import org.jspecify.annotations.NullMarked;
