/** What a run does when its process, its disk or its input fails. */
@NullMarked
package io.panatron.tests.fault;

import org.jspecify.annotations.NullMarked;
