"""From where on a number counts as trouble, and why there."""

from __future__ import annotations

OUTSIDE = 0.4
"""Share of z outside the grid. Functions reach beyond their last centre, so some is harmless: standard normal z on the
published range of +-1.2 gives 0.23, four functions with their best gain 0.3, and both train well."""

DEAD_VALUE = 1e-3
"""Mean |phi_k| below this, relative to the largest of the layer: a weight on it moves no output in the third digit."""

DEAD_WEIGHT = 1e-6
"""Largest |W| of a function over the outputs, relative to the layer's RMS: zero but for rounding and weight decay."""

DEAD = 0.1
"""Share of dead functions: below it they cost little, and sparse inputs always have some."""

RANK = 1e-6
"""Eigenvalues of the Gram matrix below this share of the largest are not independent directions: their functions are
told apart by 1 in 1000 of their size (the square root), less than the noise of mini-batch gradients."""

INDEPENDENT = 0.6
"""Share of the K functions that are independent. The published width keeps 0.8 of 8 on standard normal z, real data
with constant pixels 0.7 and deep networks too; below this almost half of the weights repeat the others."""

FLAT = 0.01
"""Values or slopes of all functions below this share of their peak: the input is as good as not seen, or its gradient
as good as zero."""

SATURATED = 0.1
"""Share of z that is saturated; a tenth of all gradients missing is felt in training."""

OUTPUT = (1e-3, 1e3)
"""RMS of a layer's outputs; initialisation makes it 1. Beyond, losses are flat or overflow in half precision."""

GRADIENT = 100.0
"""Factor between the gradients of the first and the last layer's outputs; initialisation makes it near 1. Beyond, no
one learning rate fits both."""

GAP = 0.05
"""Smallest distance of neighbouring centres, relative to their mean distance: two functions are then one."""

WIDTH = (0.2, 10.0)
"""h over the mean distance d of centres; "auto" is 1.2. Below, inputs between two centres see no function; above, every
function is constant over the grid."""

WIDE = 1.5
"""h / d above which collinear functions are put down to their width; "auto" is 1.2."""
