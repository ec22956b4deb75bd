package io.panatron.runtime.generate;

/** Why a sample ended. */
public enum StopReason {
  /** A stop token was drawn; it is the sample's last token. */
  STOP_TOKEN,
  /** The listener ended it, because a stop string was complete. */
  STOP_STRING,
  /** It has as many tokens as it may. */
  LENGTH
}
