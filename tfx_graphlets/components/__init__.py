"""TFX components: GraphletGen, WasteGate, WasteModelTrainer, Archiver, artifacts, conditions.

The public names stand in ``tfx_graphlets``. What a gate does without TFX is in ``gate``.
"""
