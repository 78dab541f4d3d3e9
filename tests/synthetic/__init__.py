"""Tests of the generator of stores."""
