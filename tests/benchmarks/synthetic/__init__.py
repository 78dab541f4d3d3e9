"""Synthetic: metadata stores of any size, of the shape that TFX 1.16 writes.

    python -m tests.benchmarks.synthetic --models 45000 --output metadata.sqlite

For measuring and for tests: what a corpus as large as the one of Xin et al. (SIGMOD 2021) costs
to analyse can be found out without having it. The shape of a store is real, its figures are
drawn: nothing about pushes or waste can be learnt from it.
"""

from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.writing import WrittenStore, write_store

__all__ = ["StoreParameters", "WrittenStore", "write_store"]
