"""Graphlets: the rules that cut a trace into one part per training, their outcome and cost."""
