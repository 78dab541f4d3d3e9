"""Kinds of arrays: ids and row numbers are kept in 32 bits, a store has tens of millions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
# Whole numbers of any width.
Numbers = npt.NDArray[np.signedinteger[Any]]
# Texts are Python objects.
Texts = npt.NDArray[np.object_]
# Values of a column of a table: numbers or texts.
Cells = npt.NDArray[np.generic]
