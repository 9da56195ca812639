"""The functions of each family, and their slopes, as `triton.jit` functions."""
