/** The command line: commands, options generated from the parameter table, help, exit codes. */
@NullMarked
package io.panatron.cli;

import org.jspecify.annotations.NullMarked;
