"""TFX components: GraphletGen, WasteGate, WasteModelTrainer, Archiver, artifacts, conditions.

The public names stand in ``tfx_graphlets``. Nothing is imported here, so that
the modules below that are plain functions (``history``, ``decisions``,
``gate_run``, ``keys``) can be used where TFX is not installed.
"""
