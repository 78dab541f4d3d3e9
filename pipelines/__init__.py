"""Real TFX pipelines that use tfx_graphlets; each has a README of its own."""
