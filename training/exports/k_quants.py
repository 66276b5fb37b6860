"""llama.cpp's quantizations in blocks of 256 weights, in numpy: q2_k, q3_k, q4_k, q5_k and q6_k.

Scales are searched for the least squared error, which small models need more than large ones. Layouts: ggml-common.h of
the llama.cpp project; `gguf.quants.dequantize` reads them back.
"""

from collections.abc import Callable

import numpy as np

Array = np.ndarray
BLOCK = 256
_STEPS = np.linspace(-1.0, 1.0, 9, dtype=np.float32)


def quantized(values: Array, kind: str) -> Array:
    """Float rows [rows, columns], columns a multiple of 256, as bytes [rows, columns / 256 * block size]."""
    blocks = np.ascontiguousarray(values, dtype=np.float32).reshape(-1, BLOCK)
    return _KINDS[kind](blocks).reshape(values.shape[0], -1)


def _q6_k(blocks: Array) -> Array:
    groups = blocks.reshape(-1, 16, 16)
    scales, steps = _signed(groups, 32, 127)
    levels = _levels(groups, scales[..., None], -32, 31).reshape(-1, 2, 4, 32) + 32
    low, high = levels & 15, levels >> 4
    low_bytes = np.stack((low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4), axis=2)
    high_bytes = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    return _joined(low_bytes, high_bytes, steps[1].astype(np.int8).view(np.uint8), _half(steps[0]))


def _q3_k(blocks: Array) -> Array:
    groups = blocks.reshape(-1, 16, 16)
    scales, steps = _signed(groups, 4, 31)
    levels = _levels(groups, scales[..., None], -4, 3).reshape(-1, BLOCK) + 4
    masks = np.zeros((len(levels), 32), dtype=np.int32)
    for part in range(8):
        masks |= (levels[:, part * 32 : part * 32 + 32] >> 2) << part
    stored = steps[1].astype(np.int32) + 32
    packed = np.zeros((len(levels), 12), dtype=np.int32)
    packed[:, :8] = stored[:, :8] & 15 | (stored[:, 8:] & 15) << 4
    for part in range(4):
        packed[:, 8:] |= (stored[:, part * 4 : part * 4 + 4] >> 4) << 2 * part
    return _joined(masks, _two_bits(levels & 3), packed, _half(steps[0]))


def _q2_k(blocks: Array) -> Array:
    groups = blocks.reshape(-1, 16, 16)
    levels, scales, offsets, steps = _offset(groups, 3, 15)
    return _joined(scales | offsets << 4, _two_bits(levels.reshape(-1, BLOCK)), _half(steps[0]), _half(steps[1]))


def _q4_k(blocks: Array) -> Array:
    levels, scales, offsets, steps = _offset(blocks.reshape(-1, 8, 32), 15, 63)
    return _joined(_half(steps[0]), _half(steps[1]), _six_bits(scales, offsets), _nibbles(levels))


def _q5_k(blocks: Array) -> Array:
    levels, scales, offsets, steps = _offset(blocks.reshape(-1, 8, 32), 31, 63)
    high = np.zeros((len(levels), 32), dtype=np.int32)
    for part in range(8):
        high |= (levels[:, part] >> 4) << part
    halves = (_half(steps[0]), _half(steps[1]))
    return _joined(*halves, _six_bits(scales, offsets), high, _nibbles(levels & 15))


_KINDS: dict[str, Callable[[Array], Array]] = {
    "q2_k": _q2_k,
    "q3_k": _q3_k,
    "q4_k": _q4_k,
    "q5_k": _q5_k,
    "q6_k": _q6_k,
}


# ---------------------------------------------------------------- scales


def _signed(groups: Array, reach: int, most: int) -> tuple[Array, tuple[Array, Array]]:
    """A scale for each group, for levels of -reach to reach - 1, the scales themselves stored as -most to most.

    Returns the scales as stored, and (step of each block, whole-numbered scales).
    """
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[..., None], axis=2)[..., 0]
    best, least = np.zeros_like(largest), np.full_like(largest, np.inf)
    for shift in (0.0, *_STEPS):
        inverse = _over(-(reach + shift), largest)
        levels = np.clip(np.rint(groups * inverse[..., None]), -reach, reach - 1)
        scale = _over((groups * levels).sum(axis=2), (levels * levels).sum(axis=2))
        best, least = _better(best, least, scale, ((groups - scale[..., None] * levels) ** 2).sum(axis=2))
    top = np.take_along_axis(best, np.abs(best).argmax(axis=1)[:, None], axis=1)[:, 0]
    step = _rounded(top / most)
    whole = np.clip(np.rint(_over(best, step[:, None])), -most, most)
    whole = _refined(groups, whole, lambda number: _signed_error(groups, number * step[:, None], reach), most)
    return whole * step[:, None], (step, whole)


def _signed_error(groups: Array, scales: Array, reach: int) -> Array:
    levels = _levels(groups, scales[..., None], -reach, reach - 1)
    return ((groups - scales[..., None] * levels) ** 2).sum(axis=2)


def _refined(groups: Array, whole: Array, error: Callable[[Array], Array], most: int) -> Array:
    """Of each whole-numbered scale and its neighbours, the one with the least error."""
    best, least = whole, error(whole)
    for near in (-1, 1):
        number = np.clip(whole + near, -most, most)
        best, least = _better(best, least, number, error(number))
    return best


def _offset(groups: Array, top: int, most: int) -> tuple[Array, Array, Array, tuple[Array, Array]]:
    """Levels of 0 to top for value = scale * level - offset, scales and offsets stored as 0 to most.

    Returns levels, whole-numbered scales, whole-numbered offsets, and (step of the scales, step of the offsets).
    """
    scale, offset = _searched(groups, top)
    scale_step, offset_step = _rounded(scale.max(axis=1) / most), _rounded(offset.max(axis=1) / most)
    scales = np.clip(np.rint(_over(scale, scale_step[:, None])), 0, most)
    offsets = np.clip(np.rint(_over(offset, offset_step[:, None])), 0, most)
    best, least = (scales, offsets), np.full_like(scale, np.inf)
    for scale_near in (0, -1, 1):
        for offset_near in (0, -1, 1, -2, 2):
            near = np.clip(scales + scale_near, 0, most), np.clip(offsets + offset_near, 0, most)
            error = _offset_error(groups, near[0] * scale_step[:, None], near[1] * offset_step[:, None], top)
            better = error < least
            best = np.where(better, near[0], best[0]), np.where(better, near[1], best[1])
            least = np.where(better, error, least)
    real = best[0] * scale_step[:, None], best[1] * offset_step[:, None]
    levels = _levels(groups + real[1][..., None], real[0][..., None], 0, top)
    return levels, best[0].astype(np.int32), best[1].astype(np.int32), (scale_step, offset_step)


def _searched(groups: Array, top: int) -> tuple[Array, Array]:
    """Scale and offset of each group: a range of starts, each fitted by least squares."""
    low, high = np.minimum(groups.min(axis=2), 0), groups.max(axis=2)
    best = (np.maximum(high - low, 0) / top, -low)
    least = _offset_error(groups, *best, top)
    for shift in _STEPS * (0.15 * top + 0.5):
        scale, offset = np.maximum(high - low, 0) / max(top + shift, 0.5), -low
        for _ in range(2):
            levels = _levels(groups + offset[..., None], scale[..., None], 0, top).astype(np.float32)
            scale, offset = _fitted(groups, levels)
            error = _offset_error(groups, scale, offset, top)
            better = error < least
            best = np.where(better, scale, best[0]), np.where(better, offset, best[1])
            least = np.where(better, error, least)
    return best


def _fitted(groups: Array, levels: Array) -> tuple[Array, Array]:
    """The scale and the offset, neither below zero, that fit given levels best."""
    count = groups.shape[2]
    sums, squares = levels.sum(axis=2), (levels * levels).sum(axis=2)
    total, product = groups.sum(axis=2), (groups * levels).sum(axis=2)
    scale = _over(count * product - sums * total, count * squares - sums * sums)
    offset = (scale * sums - total) / count
    alone = np.maximum(_over(product, squares), 0)
    fits = (offset >= 0) & (scale >= 0)
    return np.where(fits, scale, alone), np.where(fits, offset, 0)


def _offset_error(groups: Array, scale: Array, offset: Array, top: int) -> Array:
    levels = _levels(groups + offset[..., None], scale[..., None], 0, top)
    return ((groups - scale[..., None] * levels + offset[..., None]) ** 2).sum(axis=2)


def _better(best: Array, least: Array, other: Array, error: Array) -> tuple[Array, Array]:
    better = error < least
    return np.where(better, other, best), np.where(better, error, least)


def _levels(values: Array, scales: Array, low: int, high: int) -> Array:
    return np.clip(np.rint(values * _over(1.0, scales)), low, high).astype(np.int32)


def _over(values: Array | float, divisors: Array) -> Array:
    """A quotient, 0 where the divisor is."""
    safe = np.where(divisors == 0, 1, divisors)
    return np.where(divisors == 0, 0, values / safe).astype(np.float32)


def _rounded(values: Array) -> Array:
    """As float16 will hold them."""
    return values.astype(np.float16).astype(np.float32)


# ---------------------------------------------------------------- bytes


def _half(values: Array) -> Array:
    return values.astype(np.float16).reshape(-1, 1).view(np.uint8)


def _nibbles(levels: Array) -> Array:
    pairs = levels.reshape(-1, 4, 2, 32)
    return pairs[:, :, 0] | pairs[:, :, 1] << 4


def _two_bits(levels: Array) -> Array:
    parts = levels.reshape(-1, 2, 4, 32)
    return parts[:, :, 0] | parts[:, :, 1] << 2 | parts[:, :, 2] << 4 | parts[:, :, 3] << 6


def _six_bits(scales: Array, offsets: Array) -> Array:
    """Eight scales and eight offsets of six bits in twelve bytes."""
    packed = np.zeros((len(scales), 12), dtype=np.int32)
    packed[:, :4] = scales[:, :4] | (scales[:, 4:] >> 4) << 6
    packed[:, 4:8] = offsets[:, :4] | (offsets[:, 4:] >> 4) << 6
    packed[:, 8:] = scales[:, 4:] & 15 | (offsets[:, 4:] & 15) << 4
    return packed


def _joined(*parts: Array) -> Array:
    return np.concatenate([part.reshape(len(part), -1).astype(np.uint8) for part in parts], axis=1)
