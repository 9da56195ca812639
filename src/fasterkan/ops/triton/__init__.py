"""The eager path on CUDA devices: one kernel for norm and basis, the product by torch, one kernel for the gradients.

Importing this package does not import triton.
"""

from .path import kan_linear_kernels, kernels_on_request, kernels_refuse

__all__ = ["kan_linear_kernels", "kernels_on_request", "kernels_refuse"]
