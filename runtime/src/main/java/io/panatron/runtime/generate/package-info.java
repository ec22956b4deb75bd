/** Text from a model: decoding with a key-value cache. */
@NullMarked
package io.panatron.runtime.generate;

import org.jspecify.annotations.NullMarked;
