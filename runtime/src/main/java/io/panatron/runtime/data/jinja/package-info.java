/**
 * A small interpreter of the Jinja subset that Hugging Face chat templates are written in.
 *
 * <p>Why not a library: with jinjava 2.8.3, templates in the style of Qwen2.5, Qwen3 and Llama 3.1
 * come out as their own source text with an empty error list, and {@code none}, {@code true},
 * {@code %}, {@code split} and negative indices follow Java instead of Python. A wrong prompt that
 * nobody notices is the worst failure of a trainer, so this package renders exactly what Jinja2
 * with transformers' settings renders, and refuses every construct that it does not know when the
 * template is read.
 */
@NullMarked
package io.panatron.runtime.data.jinja;

import org.jspecify.annotations.NullMarked;
