"""tfx_graphlets: model graphlets of TFX pipelines, and gates that stop wasted training."""
