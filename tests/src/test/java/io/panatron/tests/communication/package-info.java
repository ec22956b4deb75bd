/** Communication among ranks: what every engine must do, and what ranks do with it. */
@NullMarked
package io.panatron.tests.communication;

import org.jspecify.annotations.NullMarked;
