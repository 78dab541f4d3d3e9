"""Tests of the offline study."""
