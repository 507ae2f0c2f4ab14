"""Units of the integers that a walk computes at a pixel: what numpy's functions and compiled ones share."""

SHARE_SHIFT = 6  # from share x distance in 1/32 level to 1/32 level
ERROR_UNIT, ERROR_SHIFT, ERROR_MAX = 8, 2, 255  # an error's units per level, and its shift from 1/32 level
WEIGHT_UNIT, WEIGHT_MIDDLE = 256, 128  # a byte b is the weight (b - 128) / 256
MOVE_SHIFT = 6  # from error x weight to 1/32 level
TOP, SIDE = 2, 2  # empty positions around the errors of a band
