"""Which marks are the digit."""

from __future__ import annotations

import torch

from fasterkan.vision.marks import at_edge, choose, has_inside


def sheet(*marks):
    """A mask [100, 100] with rectangles (top, left, bottom, right)."""
    mask = torch.zeros(100, 100, dtype=torch.bool)
    for top, left, bottom, right in marks:
        mask[top:bottom, left:right] = True
    return mask


DIGIT, DESK = (30, 40, 60, 50), (90, 0, 100, 100)


def test_a_mark_inside_comes_before_a_larger_one_at_the_edge():
    for edge in (DESK, (0, 0, 10, 100), (0, 0, 100, 8), (0, 92, 100, 100)):
        mask = sheet(DIGIT, edge)
        marks = choose(mask, mask.float())
        assert torch.equal(marks.mask, sheet(DIGIT))
        assert (marks.parts, marks.dirt, marks.rivals) == (1, 1, 0)
        assert torch.equal(at_edge(mask), sheet(edge))


def test_dirt_inside_does_not_come_before_a_digit_that_touches_the_edge():
    digit, dirt = (0, 40, 60, 50), (80, 80, 85, 85)
    mask = sheet(digit, dirt)
    assert torch.equal(choose(mask, mask.float()).mask, sheet(digit))
    assert not has_inside(mask)
    assert has_inside(sheet(DIGIT))


def test_the_most_ink_counts_not_the_most_pixels():
    strong, weak = (10, 10, 30, 20), (60, 60, 90, 75)
    strength = sheet(strong).float() + 0.3 * sheet(weak)
    assert torch.equal(choose(sheet(strong, weak), strength).mask, sheet(strong))


def test_parts_close_by_belong_to_it_and_others_do_not():
    near, far, speck = (30, 54, 34, 64), (30, 70, 55, 78), (62, 44, 64, 46)
    mask = sheet(DIGIT, near, far, speck)
    marks = choose(mask, mask.float())
    assert torch.equal(marks.mask, sheet(DIGIT, near))
    assert (marks.parts, marks.dirt, marks.rivals) == (2, 2, 1)


def test_a_mark_at_the_edge_is_no_part_of_a_digit_inside():
    mask = sheet(DIGIT, (30, 53, 60, 100))
    assert torch.equal(choose(mask, mask.float()).mask, sheet(DIGIT))


def test_nothing_at_the_edge():
    assert not at_edge(sheet(DIGIT)).any()
    assert not at_edge(sheet()).any()
