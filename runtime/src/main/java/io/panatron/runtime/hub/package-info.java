/**
 * Models and data sets of the Hugging Face hub, fetched into the cache that the hub's own Python
 * client uses too. Nothing of it is loaded by a run whose names are all local.
 */
@NullMarked
package io.panatron.runtime.hub;

import org.jspecify.annotations.NullMarked;
