"""Reasons: what moved a probability, as sentences, and what a person can do about it."""
