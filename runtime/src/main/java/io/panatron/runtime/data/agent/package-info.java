/**
 * How conversations tell a model of its tools, and how calls of tools and their results are
 * written.
 */
@NullMarked
package io.panatron.runtime.data.agent;

import org.jspecify.annotations.NullMarked;
