/** Experiment trackers: wandb and swanlab, over the HTTP interfaces of their own clients. */
@NullMarked
package io.panatron.runtime.observe.tracker;

import org.jspecify.annotations.NullMarked;
