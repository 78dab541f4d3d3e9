"""Files of every saved format, written under each TFX."""
