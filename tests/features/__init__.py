"""Tests of tfx_graphlets.features."""
