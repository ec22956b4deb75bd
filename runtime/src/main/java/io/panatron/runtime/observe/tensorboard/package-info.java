/** TensorBoard's event files: written while a run trains, and read back to draw plots. */
@NullMarked
package io.panatron.runtime.observe.tensorboard;

import org.jspecify.annotations.NullMarked;
