"""Tests of the waste model."""
