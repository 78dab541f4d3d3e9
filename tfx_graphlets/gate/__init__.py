"""Gate: what a gate does, without TFX; components/ and cli/ call it."""
