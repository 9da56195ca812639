"""The thresholds above or below which a number is a finding, with the reasons."""

from __future__ import annotations

OUTSIDE = 0.4
"""Share of z outside the grid. Functions reach beyond their last centre, so a small share is harmless. Standard normal
z on the published range of +-1.2 gives 0.23, and four functions with their best gain give 0.3. Both train well."""

DEAD_VALUE = 1e-3
"""Mean |phi_k|, relative to the largest of the layer. A weight on a smaller function does not change the third digit of
an output."""

DEAD_WEIGHT = 1e-6
"""Largest |W| of a function over the outputs, relative to the layer's RMS. A smaller weight is zero up to rounding and
weight decay."""

DEAD = 0.25
"""Share of dead functions: a quarter of the weights is lost. Sparse inputs always have some dead functions, and so have
finer grids: hidden values have a mean of their own at initialisation, so that 0.13 of 16 functions meet no data."""

RANK = 1e-6
"""Eigenvalues of the Gram matrix below this share of the largest are not independent directions. Such functions differ
by 1 in 1000 of their size (the square root), which is less than the noise of mini-batch gradients."""

INDEPENDENT = 0.6
"""Share of the K functions that are independent. With the published width, it is 0.8 for 8 functions on standard normal
z, and 0.7 for real data with constant pixels and for deep networks. Below the threshold, almost half of the weights
repeat the others."""

FLAT = 0.01
"""Share of the peak. If the values of all functions are smaller, the input has almost no effect. If all slopes are
smaller, its gradient is almost zero."""

SATURATED = 0.1
"""Share of z that is saturated. If a tenth of all gradients is missing, training becomes worse."""

OUTPUT = (1e-3, 1e3)
"""RMS of a layer's outputs; it is 1 at initialisation. Outside this range, losses are flat or overflow in half
precision."""

GRADIENT = 100.0
"""Factor between the gradients at the outputs of the first and the last layer; it is near 1 at initialisation. With a
larger factor, no single learning rate suits both layers."""

GAP = 0.05
"""Smallest distance of neighbouring centres, relative to their mean distance. With a smaller distance, two functions
are nearly the same."""

WIDTH = (0.2, 10.0)
"""h divided by the mean distance d of centres; "auto" is 1.2. Below this range, no function reaches inputs between two
centres. Above it, every function is nearly constant over the grid."""

WIDE = 1.5
"""h / d above which the width is taken as the cause of collinear functions; "auto" is 1.2."""
