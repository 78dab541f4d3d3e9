"""Tests of tfx_graphlets.components."""
