"""The number types that quantized kernels take: how many bits of exponent and mantissa, signed or not, and the bias."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class ScalarType:
    """``bias`` is subtracted from the stored number: uint4b8 stores -8 to 7 as 0 to 15."""

    exponent: int
    mantissa: int
    signed: bool
    bias: int = 0
    finite_only: bool = False

    @property
    def size_bits(self) -> int:
        return self.exponent + self.mantissa + self.signed

    @property
    def id(self) -> int:
        """One number for each type: the fields packed, a byte for each of the widths, then the flags, then the bias."""
        flags = self.signed | self.finite_only << 1
        return self.exponent | self.mantissa << 8 | flags << 16 | self.bias << 24

    def is_integer(self) -> bool:
        return self.exponent == 0

    def is_floating_point(self) -> bool:
        return self.exponent > 0

    def has_bias(self) -> bool:
        return self.bias != 0

    def min(self) -> int:
        return -(1 << self.mantissa if self.signed else 0) - self.bias

    def max(self) -> int:
        return (1 << self.mantissa) - 1 - self.bias


class scalar_types:  # noqa: N801 - the name SGLang imports
    """The types SGLang asks for by name."""

    uint4: Final = ScalarType(0, 4, signed=False)
    uint8: Final = ScalarType(0, 8, signed=False)
    int4: Final = ScalarType(0, 3, signed=True)
    int8: Final = ScalarType(0, 7, signed=True)
    uint4b8: Final = ScalarType(0, 4, signed=False, bias=8)
    uint8b128: Final = ScalarType(0, 8, signed=False, bias=128)
    float4_e2m1f: Final = ScalarType(2, 1, signed=True, finite_only=True)
    float8_e4m3fn: Final = ScalarType(4, 3, signed=True, finite_only=True)
    float8_e5m2: Final = ScalarType(5, 2, signed=True)
