"""Payloads: the files below artifact URIs as plain values, and how much they differ."""
