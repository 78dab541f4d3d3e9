"""Backtest: what a gate would have done over a history, decided in its order."""
