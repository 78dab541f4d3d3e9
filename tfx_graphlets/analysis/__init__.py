"""Analysis: where the compute of a store goes, as small tables with definitions.

``account`` says what every execution cost and what became of it, ``causes`` why
a training was wasted; ``operators``, ``pipelines`` and ``graphlets`` what the
paper's study measured; ``gates`` what gates did, ``what_if`` what one would have
saved, by a backtest; ``prices`` turns time into money.
Plain values in and out; ``corpus`` alone reads a store.
"""
