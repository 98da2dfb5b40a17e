"""How `phasekit/synthetic/data/vanadium_l23.txt` was computed; run once, not part of the package.

It needs edrixs 0.2.0 (`pip install edrixs==0.2.0` in an environment of its own; the pure-Python solver is enough):

    python docs/provenance/vanadium_multiplets.py phasekit/synthetic/data/vanadium_l23.txt

Each spectrum is a crystal-field multiplet 2p6 3d(n) -> 2p5 3d(n+1) by exact diagonalisation. Slater integrals and
spin-orbit couplings are the Hartree-Fock values that edrixs carries for the ion, F and G scaled to 0.8. The field is
tetragonal (D4h: 10Dq, Ds, Dt), because vanadium in NaxV2(PO4)2F3 sits in a VO4F2 octahedron; fields and energy
positions are plausible choices for V-O,F octahedra, not fits to a measurement. Isotropic average, 300 K.
"""

import sys
from pathlib import Path

import edrixs
import numpy as np

SLATER_SCALE = 0.8
TEMPERATURE_K = 300.0
#: Half width at half maximum of the core-hole Lorentzian [eV] at L3 and, wider by Coster-Kronig decay, at L2.
HWHM_L3, HWHM_L2 = 0.25, 0.55
#: Standard deviation of the beamline's Gaussian [eV].
SIGMA = 0.20
ENERGY = np.round(np.arange(500.0, 540.0001, 0.1), 3)

#: name: (number of 3d electrons, 10Dq, Ds, Dt [eV],
#: L3 maximum [eV]); it moves about 1 eV per valence.
IONS = {
    "V3": (2, 1.70, 0.02, 0.01, 516.3),
    "V3d": (2, 1.80, 0.10, 0.03, 516.5),
    "V4": (1, 1.95, 0.12, 0.04, 517.3),
    "V4d": (1, 2.05, 0.25, 0.08, 517.5),
    "V5": (0, 2.10, 0.30, 0.10, 518.3),
}


def tetragonal(ten_dq: float, ds: float, dt: float) -> np.ndarray:
    """Crystal field in the basis of complex harmonics with spin."""
    d1 = 4 * ds + 5 * dt  # splitting of e_g, x2-y2 above 3z2-r2
    d3 = 3 * ds - 5 * dt  # splitting of t_2g, xy above xz, yz
    return edrixs.cf_tetragonal_d(ten_dq, d1, d3)


def sticks(n_d: int, ten_dq: float, ds: float, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Transition energies (relative) and strengths of the isotropic average over the dipole's directions."""
    atom = edrixs.get_atom_data("V", "3d", n_d, edge="L23")
    ground, excited = ([SLATER_SCALE * value for _, value in atom[key]] for key in ("slater_i", "slater_n"))
    initial, final, dipole = edrixs.ed_1v1c_py(
        ("d", "p"),
        shell_level=(0.0, 0.0),
        v_soc=(atom["v_soc_i"][0], atom["v_soc_n"][0]),
        c_soc=atom["c_soc"],
        v_noccu=n_d,
        slater=(ground, excited),
        v_cfmat=tetragonal(ten_dq, ds, dt),
    )
    weight = np.exp(-(initial - initial.min()) / (8.617e-5 * TEMPERATURE_K))
    weight /= weight.sum()
    strength = np.einsum("cfi,i->fi", np.abs(dipole) ** 2, weight) / 3
    energy = final[:, None] - initial[None, :]
    keep = strength > 1e-9
    return energy[keep], strength[keep]


def spectrum(n_d: int, ten_dq: float, ds: float, dt: float, maximum: float) -> np.ndarray:
    """Broadened spectrum on ENERGY, its L3 maximum at ``maximum``, its integral the number of 3d holes."""
    energy, strength = sticks(n_d, ten_dq, ds, dt)
    energy = energy - np.average(energy, weights=strength)
    hwhm = np.where(energy < 1.0, HWHM_L3, HWHM_L2)  # L2 begins about 1 eV above the centre of gravity
    fine = np.arange(-30.0, 40.0, 0.02)
    lines = strength[:, None] * (hwhm / np.pi)[:, None] / ((fine - energy[:, None]) ** 2 + (hwhm**2)[:, None])
    kernel = np.exp(-0.5 * (np.arange(-50, 51) * 0.02 / SIGMA) ** 2)
    total = np.convolve(lines.sum(axis=0), kernel / kernel.sum(), mode="same")
    total *= (10 - n_d) / (total.sum() * 0.02)
    peak = fine[np.argmax(np.where(fine < 1.0, total, 0.0))]
    return np.interp(ENERGY, fine - peak + maximum, total)


def main(path: str) -> None:
    """Write the table."""
    columns = {name: spectrum(*settings) for name, settings in IONS.items()}
    rows = np.column_stack([ENERGY, *columns.values()])
    header = [
        "V L2,3 absorption of V3+, V4+, V5+ (2p6 3d(n) -> 2p5 3d(n+1)), integral = number of 3d holes [1/eV]",
        "crystal-field multiplets by exact diagonalisation, edrixs 0.2.0 (ed_1v1c_py)",
        "made by docs/provenance/vanadium_multiplets.py",
        f"Hartree-Fock Slater integrals F and G scaled to {SLATER_SCALE}, spin-orbit couplings unscaled,"
        f" {TEMPERATURE_K:.0f} K, isotropic",
        f"Lorentzian HWHM {HWHM_L3} eV (L3), {HWHM_L2} eV (L2); Gaussian sigma {SIGMA} eV",
        *(
            f"{name}: 3d{n}, 10Dq {dq} eV, Ds {ds} eV, Dt {dt} eV, L3 maximum at {maximum} eV"
            for name, (n, dq, ds, dt, maximum) in IONS.items()
        ),
        "energy_eV " + " ".join(columns),
    ]
    np.savetxt(Path(path), rows, fmt=["%.1f"] + ["%.5f"] * len(columns), header="\n".join(header))


if __name__ == "__main__":
    main(sys.argv[1])
