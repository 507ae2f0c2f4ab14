"""Units of layers over lanes: what packs them and what is compiled share these."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.int32]  # (positions, channels, lanes): many pictures side by side
Sums = NDArray[np.int32] | NDArray[np.int64]
BLOCK = 4  # channels come in multiples of it
VECTOR = 16  # sums of a register
WIDTH = 64  # sums that are found together, where as many are to be found: of several positions if lanes are fewer
LOW = 9  # bits of the lower plane of values that 16 bits do not hold
