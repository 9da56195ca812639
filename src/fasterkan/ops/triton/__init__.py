"""The eager path on CUDA devices: one kernel for norm and basis, the product by torch, one kernel for the gradients.

Importing this package does not import triton.
"""

from .path import interpreter_only, kan_linear_kernels, kernels_refuse

__all__ = ["interpreter_only", "kan_linear_kernels", "kernels_refuse"]
