/**
 * Files of rows: which format a file has, and its rows one after the other or by number, as columns
 * whose meaning nobody has judged yet.
 */
@NullMarked
package io.panatron.runtime.data.source;

import org.jspecify.annotations.NullMarked;
