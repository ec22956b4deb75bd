/** Files of weights and checkpoints: safetensors, Hugging Face model folders, resumable state. */
@NullMarked
package io.panatron.runtime.checkpoint;

import org.jspecify.annotations.NullMarked;
