"""The smallest example: TFX's penguin template, plain and with a gate."""
