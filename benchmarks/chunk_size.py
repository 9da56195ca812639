"""Step time of one [1024, 1024] layer at batch 8192 against the size of a chunk of the basis, on the CPU or a GPU.

python benchmarks/chunk_size.py [--device cpu] [--threads 2] [--repeats 5]
"""

from __future__ import annotations

import argparse

import torch
from _common import interleave, write_results

import fasterkan as fk
from fasterkan.ops import recompute


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    layer = fk.KANLinear(1024, 1024, device=args.device)
    x = torch.randn(8192, 1024, device=args.device, requires_grad=True)

    def step(chunk: int) -> None:
        recompute.CHUNK_BYTES = dict.fromkeys(("cpu", "cuda"), chunk)
        layer.zero_grad(set_to_none=True)
        layer(x).square().mean().backward()
        if x.is_cuda:
            torch.cuda.synchronize()

    sizes = [1 << s for s in range(20, 29)]
    times = interleave({str(s): (lambda s=s: step(s)) for s in sizes}, args.repeats, warmup=1)
    rows = [{"device": args.device, "chunk_mib": s >> 20, **times[str(s)]} for s in sizes]
    for row in rows:
        print(f"{row['chunk_mib']:4} MiB {row['median_ms']:9.1f} ms")
    print(f"written to {write_results(f'chunk_size_{args.device}', rows)}")


if __name__ == "__main__":
    main()
