"""The effects of two adapters, compared without forming them: ΔW = s·B·A, module by module.

With thin QR factorisations B = Q_B·R_B and Aᵀ = Q_A·R_A, ΔW = Q_B·(s·R_B·R_Aᵀ)·Q_Aᵀ, so that
norms and singular values are those of the small matrix s·R_B·R_Aᵀ (Golub & Van Loan, *Matrix
Computations*, §5.2, §8.6). s is α/r (Hu et al., arXiv:2106.09685), or α/√r under rsLoRA
(Kalajdzievski, arXiv:2312.03732). Under DoRA (Liu et al., arXiv:2402.09353) this is the update of
the direction before it is normalised, which needs the base; its magnitudes are compared apart.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

_FACTOR: Final = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
    r"(?:\.[^.]+)*"
)
_NEGLIGIBLE: Final = 1e-10


@dataclass(frozen=True, slots=True)
class ModuleDelta:
    """The effects of two adapters on one module; norms are Frobenius, in float64.

    Args:
        module: its name.
        rank_a, rank_b: of the factors.
        norm_a, norm_b: ‖ΔW‖ of each.
        norm_change: ‖ΔW_b − ΔW_a‖.
        cosine: ⟨ΔW_a, ΔW_b⟩ / (‖ΔW_a‖·‖ΔW_b‖); None where one is 0.
        effective_a, effective_b: effective rank exp(−Σ pᵢ ln pᵢ), pᵢ = σᵢ/Σσ (Roy & Vetterli,
            EUSIPCO 2007); 0 where ΔW is 0.
        shared: share of ΔW_b's energy that lies in ΔW_a's column and row space,
            ‖U_aᵀ·ΔW_b·V_a‖² / ‖ΔW_b‖²; None where one is 0.
        magnitude: ‖m_b − m_a‖ / ‖m_a‖ of DoRA's magnitudes; None without.
    """

    module: str
    rank_a: int
    rank_b: int
    norm_a: float
    norm_b: float
    norm_change: float
    cosine: float | None
    effective_a: float
    effective_b: float
    shared: float | None
    magnitude: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "module"}


@dataclass(frozen=True, slots=True)
class Factors:
    """One module of an adapter: scaling · b · a.

    Args:
        a: shape (rank, in).
        b: shape (out, rank).
        scaling: s.
        magnitude: DoRA's vector, or None.
    """

    a: Matrix
    b: Matrix
    scaling: float
    magnitude: Matrix | None = None


def compare_modules(name: str, one: Factors, other: Factors) -> ModuleDelta | None:
    """Compare what two adapters do to a module; None where its shapes differ, or hold NaN.

    Args:
        name: the module.
        one: of the one adapter.
        other: of the other; ranks and scalings may differ.
    """
    import numpy as np

    if (one.b.shape[0], one.a.shape[1]) != (other.b.shape[0], other.a.shape[1]):
        return None
    if not all(np.isfinite(m).all() for f in (one, other) for m in (f.a, f.b)):
        return None
    (left_a, values_a, right_a), (left_b, values_b, right_b) = (_svd(f) for f in (one, other))
    norm_a, norm_b = (float(np.linalg.norm(v)) for v in (values_a, values_b))
    stacked = Factors(
        np.vstack([one.a, other.a]), np.hstack([-one.scaling * one.b, other.scaling * other.b]), 1.0
    )
    overlap = (left_a.T @ left_b) * values_b @ (right_b.T @ right_a)
    dot = float(np.sum(np.diagonal(overlap) * values_a))
    both = norm_a > 0 and norm_b > 0
    magnitude = None
    if one.magnitude is not None and other.magnitude is not None:
        before = float(np.linalg.norm(one.magnitude))
        change = float(np.linalg.norm(other.magnitude - one.magnitude))
        magnitude = change / before if before else math.inf
    return ModuleDelta(
        name,
        one.a.shape[0],
        other.a.shape[0],
        norm_a,
        norm_b,
        float(np.linalg.norm(_svd(stacked)[1])),
        max(-1.0, min(1.0, dot / norm_a / norm_b)) if both else None,
        _effective_rank(values_a),
        _effective_rank(values_b),
        min(1.0, float(np.linalg.norm(overlap)) ** 2 / norm_b**2) if both else None,
        magnitude,
    )


def _svd(factors: Factors) -> tuple[Matrix, Matrix, Matrix]:
    """Compute singular vectors and values of scaling · b · a, those of negligible values left out."""
    import numpy as np

    q_b, r_b = np.linalg.qr(factors.b)
    q_a, r_a = np.linalg.qr(factors.a.T)
    left, values, right = np.linalg.svd(factors.scaling * (r_b @ r_a.T))
    kept = int(np.sum(values > _NEGLIGIBLE * values[0])) if values.size and values[0] > 0 else 0
    return q_b @ left[:, :kept], values[:kept], q_a @ right[:kept].T


def _effective_rank(values: Matrix) -> float:
    import numpy as np

    if not values.size:
        return 0.0
    shares = values / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def factors_of(
    names: Iterable[str],
    read: Callable[[str], Matrix],
    scaling: Callable[[str], float | None],
) -> Mapping[str, Factors]:
    """Read the modules of an adapter.

    Args:
        names: names of its tensors.
        read: a tensor as float64, by name. Kernels of convolutions are folded into the rows.
        scaling: the factor of a module, or None where it is unknown: it is left out.
    """
    parts: dict[str, dict[str, str]] = {}
    for name in names:
        match = _FACTOR.fullmatch(name)
        if match is not None:
            part = match["part"].replace("embedding_", "")
            parts.setdefault(match["module"], {})[part] = name
    found = {}
    for module, named in parts.items():
        factor = scaling(module)
        if factor is None or not {"lora_A", "lora_B"} <= named.keys():
            continue
        a, b = read(named["lora_A"]), read(named["lora_B"])
        a, b = a.reshape(a.shape[0], -1), b.reshape(b.shape[0], -1)
        if a.shape[0] != b.shape[1]:
            continue
        vector = named.get("lora_magnitude_vector")
        magnitude = read(vector).reshape(-1) if vector is not None else None
        found[module] = Factors(a, b, factor, magnitude)
    return found
