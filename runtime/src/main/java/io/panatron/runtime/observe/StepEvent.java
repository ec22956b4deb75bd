package io.panatron.runtime.observe;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** One optimizer step, from its first micro-batch to the updated parameters. */
@Name("panatron.Step")
@Label("Training Step")
@Description("Forward and backward passes over one global batch, and the update")
@Category({"Panatron", "Training"})
@StackTrace(false)
public final class StepEvent extends Event {
  @Label("Iteration")
  public long iteration;

  @Label("Loss")
  @Description("Mean loss over the global batch's target tokens")
  public double loss;

  @Label("Gradient Norm")
  @Description("L2 norm before clipping")
  public double gradientNorm;

  @Label("Skipped")
  @Description("Whether nothing was updated, since the gradients overflowed under their loss scale")
  public boolean skipped;

  @Label("Loss Scale")
  @Description("Factor on the loss of the next step; 1 where losses are not scaled")
  public double lossScale;

  @Label("Learning Rate")
  public double learningRate;

  @Label("Tokens")
  @Description("Tokens processed, prompts and padding included")
  public long tokens;

  @Label("Target Tokens")
  public long targetTokens;

  /** An event that begins when {@link #begin} says so. */
  public StepEvent() {}
}
