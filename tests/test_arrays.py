"""Tables of every kind as tensors, and the message for what is no table of numbers."""

from __future__ import annotations

import datetime
from collections import deque
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from fasterkan._arrays import array_of, check_finite, input_of, is_array, is_pair, rounded

NUMBERS = [[1.5, 2.0], [3.0, 4.0]]
EXACT = torch.tensor(NUMBERS, dtype=torch.float64)
NAN = float("nan")


class Column:
    """A column of a data frame: a name, and the array protocol."""

    def __init__(self, name, array):
        self.name, self.array = name, array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


class Frame:
    """What all data frames have: rows, and an array of all columns, in which dates may have become numbers."""

    def __init__(self, **columns):
        self.columns_ = [Column(name, np.asanyarray(values)) for name, values in columns.items()]

    def __len__(self):
        return len(self.columns_[0].array) if self.columns_ else 3

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("a frame is read column by column")


class Pandas(Frame):
    iloc, ndim = None, 2

    def items(self):
        return ((column.name, column) for column in self.columns_)


class Polars(Frame):
    def iter_columns(self):
        return iter(self.columns_)


class Arrow(Frame):
    @property
    def column_names(self):
        return [column.name for column in self.columns_]

    def itercolumns(self):
        return iter(self.columns_)


class NAType:
    """The missing value of pandas."""

    __module__ = "pandas._libs.missing"


class Sparse:
    """A matrix of scipy.sparse, which NumPy takes as one object."""

    def toarray(self):
        raise AssertionError("a sparse matrix is not filled up unasked")


class Masked(np.ndarray):
    """An array of another library whose attribute `mask` says what is invalid."""

    @property
    def mask(self):
        return np.asarray(self) == 4.0


def memory_map(tmp_path, values):
    np.save(tmp_path / "x.npy", values)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def read_only(values):
    array = np.array(values)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        tuple(map(tuple, NUMBERS)),
        deque(NUMBERS),
        np.array(NUMBERS),
        np.array(NUMBERS)[::-1][::-1],
        np.array(NUMBERS)[::-1].copy()[::-1],
        np.array(NUMBERS, dtype=">f8"),
        np.array(NUMBERS, dtype=np.longdouble),
        np.array(NUMBERS, order="F"),
        np.broadcast_to(np.array(NUMBERS)[None], (1, 2, 2))[0],
        np.ma.masked_array(NUMBERS, mask=False),
        np.ma.masked_array(NUMBERS),
        read_only(NUMBERS),
        memoryview(np.array(NUMBERS)),
        [[Decimal("1.5"), 2], [Fraction(3), 4.0]],
        np.array(NUMBERS, dtype=object),
        [np.array(row) for row in NUMBERS],
        [torch.tensor(row) for row in NUMBERS],
        [[torch.tensor(v, requires_grad=True) for v in row] for row in NUMBERS],
        [torch.tensor(NUMBERS[0], dtype=torch.float16), NUMBERS[1]],
        Pandas(a=[1.5, 3.0], b=[2, 4]),
        Polars(a=[1.5, 3.0], b=[2, 4]),
        Arrow(a=[1.5, 3.0], b=np.array([2, 4], object)),
        EXACT,
        EXACT.float(),
        EXACT.bfloat16(),
        EXACT.T.contiguous().T,
        EXACT.clone().requires_grad_(),
    ],
    ids=[
        "list", "tuple", "deque", "array", "strided", "backwards", "big-endian", "long-double", "columns-first",
        "broadcast", "mask-of-false", "no-mask", "read-only", "buffer", "numbers-of-python", "objects",
        "list-of-arrays", "list-of-tensors", "nested-tensors", "mixed-list", "like-pandas", "like-polars", "like-arrow",
        "tensor", "float32", "bfloat16", "transposed", "with-graph",
    ],
)  # fmt: skip
def test_numbers(values):
    found = array_of("f", "X", values)
    assert torch.equal(found.double(), EXACT)
    assert not found.requires_grad


def test_a_memory_map(tmp_path):
    assert torch.equal(array_of("f", "X", memory_map(tmp_path, np.array(NUMBERS))), EXACT)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(3)[::-1], torch.tensor([2, 1, 0])),
        (np.arange(3, dtype=">i2"), torch.arange(3, dtype=torch.int16)),
        (np.arange(3, dtype=np.uint16), torch.arange(3)),
        (np.array([2**63 - 1], np.uint64), torch.tensor([2**63 - 1])),
        (np.array([2**64 - 1], np.uint64), torch.tensor([2.0**64], dtype=torch.float64)),
        (torch.tensor([2**63 - 1]).view(torch.uint64), torch.tensor([2**63 - 1])),
        (torch.tensor([-1]).view(torch.uint64), torch.tensor([2.0**64], dtype=torch.float64)),
        (torch.tensor([7], dtype=torch.uint16), torch.tensor([7])),
        ([2**64, -1], torch.tensor([2.0**64, -1.0], dtype=torch.float64)),
        (np.array([5, True], object), torch.tensor([5, 1])),
        ([True, False], torch.tensor([True, False])),
        (np.array([True, False], object), torch.tensor([True, False])),
        (np.float32(1.5), torch.tensor(1.5)),
        ([], torch.empty(0, dtype=torch.float64)),
        (np.zeros((0, 3), np.float32), torch.zeros(0, 3)),
        (Pandas(), torch.empty(3, 0, dtype=torch.float64)),
        ([torch.tensor([1.5]), torch.tensor([2])], torch.tensor([[1.5], [2.0]], dtype=torch.float64)),
        ([torch.tensor([1.5]), torch.tensor([2.0]).half()], torch.tensor([[1.5], [2.0]])),
        ([torch.tensor([1], dtype=torch.int8), torch.tensor([300])], torch.tensor([[1], [300]])),
        (torch.tensor([1.5]).to(torch.float8_e4m3fn), torch.tensor([1.5])),
    ],
    ids=[
        "backwards", "big-endian", "uint16", "uint64", "large-uint64", "uint64-tensor", "large-uint64-tensor",
        "uint16-tensor", "beyond-int64", "whole-objects", "booleans", "boolean-objects", "scalar", "empty", "no-rows",
        "no-columns", "float32-and-whole", "float32-and-float16", "whole-of-two-widths", "float8",
    ],
)  # fmt: skip
def test_dtypes(values, expected):
    found = array_of("f", "X", values)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


def test_whole_numbers_beyond_2_53_are_rounded_only_where_they_become_floats():
    exact = array_of("f", "X", np.array([2**53 + 1, 2**62 + 1]))
    assert exact.tolist() == [2**53 + 1, 2**62 + 1]
    assert rounded("f", "X", exact, torch.float64).tolist() == [float(2**53), float(2**62)]
    with_hole = array_of("f", "X", np.ma.masked_array([2**53 + 1, 1], mask=[False, True]))
    torch.testing.assert_close(with_hole, torch.tensor([2.0**53, NAN], dtype=torch.float64), equal_nan=True)


@pytest.mark.parametrize(
    "values",
    [
        np.ma.masked_array([[1.5, 2.0], [3.0, 4.0]], mask=[[0, 0], [0, 1]]),
        np.ma.masked_array(np.array(NUMBERS, ">f4"), mask=[[0, 0], [0, 1]]),
        np.ma.masked_array(np.array(NUMBERS, object), mask=[[0, 0], [0, 1]]),
        np.array(NUMBERS).view(Masked),
        [np.ma.masked_array([1.5, 2.0], mask=[0, 0]), np.ma.masked_array([3.0, 4.0], mask=[0, 1])],
        [[1.5, 2.0], [3.0, np.ma.masked]],
        [[1.5, 2.0], [3.0, None]],
        np.array([[1.5, 2.0], [3.0, NAType()]], object),
        Pandas(a=[1.5, 3.0], b=np.array([2, NAType()], object)),
        Polars(a=[1.5, 3.0], b=[2, NAN]),
        Arrow(a=[1.5, 3.0], b=np.ma.masked_array([2, 4], mask=[0, 1])),
    ],
    ids=[
        "masked", "masked-big-endian", "masked-objects", "other-mask", "list-of-masked", "masked-in-a-list", "none",
        "na", "like-pandas", "like-polars", "like-arrow",
    ],
)  # fmt: skip
def test_missing_values_are_nan(values):
    found = array_of("f", "X", values).double()
    torch.testing.assert_close(found, torch.tensor([[1.5, 2.0], [3.0, NAN]], dtype=torch.float64), equal_nan=True)


def test_whole_numbers_and_booleans_with_missing_values():
    for values in ([1, None], np.ma.masked_array([1, 7], mask=[0, 1]), [True, None]):
        found = array_of("f", "y", values)
        torch.testing.assert_close(found, torch.tensor([1.0, NAN], dtype=torch.float64), equal_nan=True)


@pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors")
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64], ids=["floats", "whole"])
def test_a_masked_tensor(dtype):
    data = torch.tensor([[1, 2], [3, 4]], dtype=dtype)
    with_mask = torch.masked.masked_tensor(data, torch.tensor([[True, True], [True, False]]))
    whole = torch.masked.masked_tensor(data, torch.ones(2, 2, dtype=torch.bool))
    expected = torch.tensor([[1.0, 2.0], [3.0, NAN]], dtype=torch.float64)
    torch.testing.assert_close(array_of("f", "X", with_mask).double(), expected, equal_nan=True)
    assert torch.equal(array_of("f", "X", whole), data)


def test_no_graph_unless_asked_for():
    x = torch.ones(2, requires_grad=True)
    assert not array_of("f", "X", x * 2).requires_grad
    assert array_of("f", "X", x * 2, graph=True).requires_grad


def test_a_tensor_of_inference_mode_can_be_trained_with():
    with torch.inference_mode():
        x = torch.ones(2)
    weight = torch.ones(2, requires_grad=True)
    (array_of("f", "X", x) * weight).sum().backward()
    assert weight.grad.tolist() == [1.0, 1.0]


FIELDS = np.zeros(2, dtype=[("a", "f8"), ("b", "i4")])
TEXT = "give numbers only"
REFUSED = {
    "text": ("text", "got text (<U4)"),
    "bytes": (b"12", "got text (|S2)"),
    "texts": (["1.5"], "got list with text (<U3)"),
    "text-among-numbers": ([1.5, "2"], "got list with text"),
    "text-objects": (np.array([[1.5, "2"]], object), "got str ('2' at [0, 1]); give real numbers only"),
    "string-dtype": (np.array(["a"], np.dtypes.StringDType()), "got text (StringDType())"),
    "ragged": ([[1.0], [2.0, 3.0]], "got list with rows of different lengths; give every row the same number"),
    "ragged-tensors": ([torch.zeros(1), torch.zeros(2)], "got parts of different shapes ([1], [2])"),
    "none": (None, "got NoneType"),
    "object": (object(), "got object"),
    "set": ({1.0, 2.0}, "got set"),
    "mapping": ({"a": [1.0]}, "got dict"),
    "generator": ((v for v in [1.0]), "got generator"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), "got dates (datetime64[D]); give numbers, such as the days since"),
    "missing-date": (np.array(["NaT"], "M8[s]"), "got dates (datetime64[s])"),
    "durations": (np.array([5], "m8[s]"), "got durations (timedelta64[s]); give numbers: X / np.timedelta64(1, 's')"),
    "masked-dates": (np.ma.masked_array(np.array([5], "M8[s]"), mask=[1]), "got dates"),
    "date-objects": ([datetime.date(2020, 1, 2)], "got list with date ('2020-01-02' at [0])"),
    "duration-objects": ([[1.0, datetime.timedelta(1)]], "got list with timedelta"),
    "numpy-durations-in-a-list": ([np.timedelta64(5, "s"), 2], "got list with durations"),
    "numpy-durations-as-objects": (np.array([np.timedelta64(5, "s"), 2.0], object), "got timedelta64"),
    "fields": (FIELDS, "got an array with named fields (a, b); numpy.lib.recfunctions.structured_to_unstructured(X)"),
    "record": (FIELDS.view(np.recarray), "got an array with named fields (a, b)"),
    "masked-fields": (np.ma.masked_array(FIELDS), "got an array with named fields (a, b)"),
    "raw-bytes": (np.zeros(2, "V8"), "got bytes without a type of number (|V8)"),
    "huge-whole-number": ([10**400], "got list with a number beyond float64"),
    "sparse-matrix": (Sparse(), "got Sparse; give X.toarray()"),
    "sparse-tensor": (torch.eye(2).to_sparse(), "got a sparse tensor (torch.sparse_coo); give X.to_dense()"),
    "sparse-rows": (lambda: torch.eye(2).to_sparse_csr(), "got a sparse tensor (torch.sparse_csr); give X.to_dense()"),
    "nested-tensor": (lambda: torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)]), "got a nested tensor"),
    "quantised": (
        lambda: torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8),
        "got a quantised tensor (torch.qint8); give X.dequantize()",
    ),
    "meta": (torch.zeros(2, device="meta"), "got a tensor without values"),
    "like-pandas": (Pandas(a=[1.0], when=np.array(["2020"], "M8[D]")), "column 'when' of X must be"),
    "like-polars": (Polars(a=[1.0], when=np.array(["2020"], "M8[D]")), "column 'when' of X must be"),
    "like-arrow": (Arrow(a=[1.0], who=np.array(["eve"])), "column 'who' of X must be"),
    "column-of-arrays": (Polars(a=np.zeros((2, 2))), "column 'a' of X must be a tensor or an array of numbers, got an"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # nested, sparse and quantised tensors are experimental
@pytest.mark.parametrize("case", REFUSED)
def test_no_numbers(case):
    values, message = REFUSED[case]
    values = values() if case in ("nested-tensor", "quantised", "sparse-rows") else values
    with pytest.raises(TypeError) as caught:
        array_of("f", "X", values)
    assert str(caught.value).startswith("f: ")
    assert "X must be a tensor or an array of numbers, got" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("values", [np.array([1j]), torch.tensor([1j]), [1j]], ids=["array", "tensor", "list"])
def test_complex(values):
    with pytest.raises(TypeError, match=r"^f: X is (torch\.)?complex\d+; give real and imaginary part as two columns"):
        array_of("f", "X", values)


def test_other_libraries_are_not_sparse_unasked():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"got csr_matrix; give X.toarray\(\)"):
        array_of("f", "X", sparse.csr_matrix(np.eye(3)))


@pytest.mark.parametrize(
    ("values", "alone", "pair"),
    [
        (EXACT, True, False),
        (np.zeros(3), True, False),
        (NUMBERS, True, False),
        ((NUMBERS, [0, 1]), True, True),
        ((EXACT, np.zeros(2)), False, True),
        ([EXACT, EXACT], False, False),
        (Pandas(a=[1.0]), True, False),
        (Sparse(), True, False),
        ([], False, False),
        ([()], False, False),
        (["a"], False, False),
        ([{"a": 1}], False, False),
        (iter([1.0]), False, False),
        ("text", False, False),
        (None, False, False),
    ],
    ids=[
        "tensor", "array", "lists", "pair-of-lists", "pair", "batches", "frame", "sparse", "empty", "empty-tuple",
        "texts", "mappings", "iterator", "text", "none",
    ],
)  # fmt: skip
def test_one_array_or_batches(values, alone, pair):
    assert is_pair(values) is pair
    if not pair:
        assert is_array(values) is alone


def test_inputs_of_models():
    linear = torch.nn.Linear(2, 1, dtype=torch.float64)
    embedding = torch.nn.Embedding(5, 2)
    assert input_of("f", "X", [[1, 2]], linear).dtype == torch.float64
    assert input_of("f", "X", [[True, False]], linear).tolist() == [[1.0, 0.0]]
    assert input_of("f", "X", [[1, 2]], embedding).dtype == torch.int64
    assert input_of("f", "X", [[1.5, 2]], embedding).dtype == torch.float32
    assert input_of("f", "X", [[1, 2]], torch.nn.ReLU()).dtype == torch.float32
    assert input_of("f", "X", EXACT, torch.nn.ReLU()).dtype == torch.float64


def test_the_first_number_that_is_not_finite_is_named():
    check_finite("f", "X", torch.ones(3, 2))
    bad = torch.tensor([[1.0, 2.0], [3.0, torch.inf], [NAN, 1.0]])
    with pytest.raises(ValueError) as caught:
        check_finite("f", "X", bad)
    assert str(caught.value) == ("f: X is inf in row 1, column 1 and 1 more (counted from 0); remove or fill such rows")
    check_finite("f", "X", bad, torch.tensor([True, False, False]))
    with pytest.raises(ValueError, match=r"f: w is nan in row 2 \(.*Missing values are read as nan"):
        check_finite("f", "w", bad[:, 0])
    with pytest.raises(ValueError, match=r"f: X in torch.float32 is inf in row 0, column 0"):
        rounded("f", "X", torch.tensor([[1e300]], dtype=torch.float64), torch.float32)
