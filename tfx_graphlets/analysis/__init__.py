"""Analysis: where the compute of a store goes, as small tables with definitions.

``account`` says what every execution cost and what became of it, ``causes`` why
a training was wasted, ``statistics`` what the paper's study measured, ``prices``
turns time into money, ``what_if`` asks a backtest what a gate would have saved.
Plain values in and out; ``corpus`` alone reads a store.
"""
