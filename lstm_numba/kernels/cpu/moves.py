"""Copies between flat arrays, a vector at a time."""

from ..parts import subkernel
from ..tile import lanes, load, store


@subkernel
def copy(source, at, target, to, n):
    """target[to : to + n] = source[at : at + n]"""
    step = lanes(source)
    k = 0
    while k + step <= n:
        store(target, to + k, 0, load(source, at + k, 0, 1, 1))
        k += step
    while k < n:
        target[to + k] = source[at + k]
        k += 1


@subkernel
def add(source, at, target, to, n):
    """target[to : to + n] += source[at : at + n]"""
    step = lanes(source)
    k = 0
    while k + step <= n:
        total = load(target, to + k, 0, 1, 1) + load(source, at + k, 0, 1, 1)
        store(target, to + k, 0, total)
        k += step
    while k < n:
        target[to + k] += source[at + k]
        k += 1
