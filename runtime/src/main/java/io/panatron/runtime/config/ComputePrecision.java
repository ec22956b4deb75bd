package io.panatron.runtime.config;

import io.panatron.runtime.UserError;
import org.jspecify.annotations.Nullable;

/**
 * The arithmetic a run uses, worked out from --torch_dtype, --bf16, --fp16 and the model's own
 * dtype.
 */
public enum ComputePrecision {
  FLOAT32,
  BFLOAT16,
  FLOAT16;

  /**
   * Decides the precision: --torch_dtype, else --bf16 true or --fp16 true, else the model's dtype,
   * which --bf16 false or --fp16 false turn into float32 where they rule it out.
   *
   * @param arguments arguments of a training command, already checked for contradictions
   * @param modelDtype dtype that config.json names (float32, bfloat16, float16), or null when it
   *     names none
   * @throws UserError when the model's dtype is unknown and nothing says what to do about it
   */
  public static ComputePrecision resolve(ParsedArguments arguments, @Nullable String modelDtype) {
    String asked = arguments.textOrNull("torch_dtype");
    if (asked == null && Boolean.TRUE.equals(arguments.flagOrNull("bf16"))) {
      return BFLOAT16;
    }
    if (asked == null && Boolean.TRUE.equals(arguments.flagOrNull("fp16"))) {
      return FLOAT16;
    }
    String dtype = asked != null ? asked : modelDtype == null ? "float32" : modelDtype;
    return switch (dtype) {
      case "float32" -> FLOAT32;
      case "bfloat16" -> asked == null && arguments.flagOrNull("bf16") != null ? FLOAT32 : BFLOAT16;
      case "float16" -> asked == null && arguments.flagOrNull("fp16") != null ? FLOAT32 : FLOAT16;
      default ->
          throw new UserError(
              ("config.json of the model names the dtype '%s', which is unknown; choose "
                      + "--torch_dtype bfloat16, float16 or float32.")
                  .formatted(dtype));
    };
  }
}
