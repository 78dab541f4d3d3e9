"""Trace: what a metadata store recorded, as values; from rows in any order to columns."""
