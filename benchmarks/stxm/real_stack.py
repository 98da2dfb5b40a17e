"""The public Fe 2p stack (123 energies) with energies withheld: what is left of the map of the oxidised fraction.

    PHASEKIT_REAL_DATA=... python -m benchmarks.stxm.real_stack OUT.json

Writes an empty result, which the report says, where the data are not there.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.errors import StxmStatus

from ..harness import write_json

NUMBERS = (4, 5, 6, 8, 12, 20)


def main(out: Path) -> None:
    """Correlation with the full map by number of energies, planned and evenly spread."""
    folder = Path(os.environ.get("PHASEKIT_REAL_DATA", "/nonexistent")) / "stxm" / "als_fe2p_71214078"
    write_json(out, _measure_stack(folder) if folder.is_dir() else {})


def _measure_stack(folder: Path) -> dict[str, Any]:
    refs = pk.io.open_references([folder / "oxidized.t", folder / "reduced.t"])
    i0 = np.loadtxt(folder / "i0.xsp")
    spectrum = xr.DataArray(i0[:, 1], dims="energy", coords={"energy": i0[:, 0]})
    od = pk.stxm.optical_density(pk.io.open_stxm(folder / "71214078.hdr"), i0=spectrum).compute()
    full = pk.stxm.fit_references(od, refs)
    total, full_fraction = full["amount"].sum("reference").values, full["fraction"].isel(reference=0).values
    material = (od["valid"] & ~od["empty"]).values
    rich = material & (total > 0.5 * np.quantile(total[material], 0.95))
    edge = refs.sel(energy=slice(703, 728))

    def agreement(energies: Any, use: Any) -> float:
        few = od.sel(energy=energies, method="nearest")
        fit = pk.stxm.fit_references(few, refs, energy_offset=float(full["energy_offset"]))
        fraction = fit["fraction"].isel(reference=0).values
        good = use & np.isfinite(fraction) & np.isfinite(full_fraction)
        return float(np.corrcoef(fraction[good], full_fraction[good])[0, 1])

    rows = []
    for n in NUMBERS:
        planned, even = pk.stxm.select_energies(edge, n).values, np.linspace(703, 728, n)
        row: dict[str, Any] = {"n": n, "planned_eV": planned.round(2).tolist()}
        for name, use in (("rich", rich), ("material", material)):
            row |= {f"planned_{name}": agreement(planned, use), f"even_{name}": agreement(even, use)}
        rows.append(row)
    gmvae = pk.stxm.fit_gmvae(od, n_clusters=6, progress=False)
    phases = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), refs)
    flagged = (phases["status"] == StxmStatus.NO_REFERENCE).values
    chi = full["chi_square"].values
    return {
        "pixels_rich": int(rich.sum()),
        "pixels_material": int(material.sum()),
        "withheld": rows,
        "no_reference": float(flagged[material].mean()),
        "no_reference_rich": float(flagged[rich].mean()),
        "median_chi_square_flagged": float(np.median(chi[flagged & material])),
        "median_chi_square_others": float(np.median(chi[~flagged & material])),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
