"""Figures of the guide to orientation maps, from the bundled sample."""

import numpy as np
from _common import SAMPLES, save

import phasekit as pk

patterns = pk.io.open_4dstem(SAMPLES / "acom_two_phases.nc").load()
phases = [pk.io.open_phase(SAMPLES / name) for name in ("Ni.cif", "LiFePO4.cif")]
raw = pk.acom.find_peaks(patterns).compute()
middle = {dim: patterns.sizes[dim] // 2 for dim in ("scan_y", "scan_x")}
save(pk.viz.acom.pattern_figure(patterns, raw, **middle), "acom_peaks")

# Calibration: lengths of all vectors beside the lattice planes.
peaks = pk.acom.calibrate_peaks(raw, phase=phases)
length = np.hypot(peaks["qy"], peaks["qx"]).where(~peaks["direct"]).to_numpy().ravel()
figure, axes = pk.viz.panels(1, 1, width=7.5, height=2.6)
axes[0, 0].hist(length[np.isfinite(length)], bins=np.arange(0.1, 1.4, 0.005), color="#9A9A9A", label="measured peaks")
planes = np.linalg.norm(pk.diffraction.reflections(phases[0], 1.39).g, axis=1).round(3)
for number, plane in enumerate(np.unique(planes)):
    label = f"planes of {phases[0].name}" if number == 0 else None
    axes[0, 0].axvline(plane, color=pk.viz.PHASE_COLOURS[5], linewidth=1.0, label=label)
axes[0, 0].set(xlabel="|q| [1/angstrom]", ylabel="peaks")
axes[0, 0].legend(frameon=False, loc="upper left")
save(figure, "acom_calibration")

# Templates: three beam directions of the first phase.
settings = {"voltage_kv": 200.0, "precession_deg": 1.0, "resolution_deg": 2.0}
bank = pk.acom.build_templates(phases, **settings)
figure, axes = pk.viz.panels(1, 3)
count = int((bank["phase"] == 0).sum())
for ax, place in zip(axes[0], (0, count // 2, count - 1), strict=True):
    template = bank.isel(template=place)
    size = 160 * (template["spot_intensity"] / template["spot_intensity"].max()) ** 0.5
    ax.scatter(template["spot_qx"], template["spot_qy"], s=size, color=pk.viz.PHASE_COLOURS[4])
    ax.plot(0, 0, "+", color="black")
    ax.set(xlabel="qx [1/angstrom]", ylabel="qy [1/angstrom]", xlim=(-1.5, 1.5), ylim=(1.5, -1.5), aspect="equal")
    ax.set_title(f"template {place} of {phases[0].name}")
save(figure, "acom_templates")

# Matching: correlation index and the two reliabilities.
matched = pk.acom.match_orientations(peaks, bank, n_matches=2).compute()
figure, axes = pk.viz.panels(1, 3)
pk.viz.image(axes[0, 0], matched["correlation"].isel(match=0), label="correlation index Q [1]", vmin=0, vmax=1)
pk.viz.image(axes[0, 1], matched["reliability"], label="orientation reliability [0..100]", vmin=0)
pk.viz.image(axes[0, 2], matched["phase_reliability"], label="phase reliability [0..100]", vmin=0)
save(figure, "acom_matching")

# Refinement: how far from the truth before and after.
orientations = pk.acom.refine_orientations(peaks, bank, matched).compute()
figure, axes = pk.viz.panels(1, 1, width=5.5)
for found, label, colour in ((matched, "matched", "#8A8A8A"), (orientations, "refined", pk.viz.PHASE_COLOURS[5])):
    angle = pk.acom.compare_with_truth(found, patterns)["disorientation"].sel(counting="folded").to_numpy().ravel()
    angle = np.sort(angle[np.isfinite(angle)])
    axes[0, 0].plot(angle, np.linspace(0, 100, angle.size), color=colour, label=label, linewidth=2)
axes[0, 0].set(xscale="log", xlim=(0.03, 60), xlabel="disorientation from the truth [degree]")
axes[0, 0].set(ylabel="pixels with the right phase [%]", ylim=(0, 100))
axes[0, 0].legend(frameon=False)
save(figure, "acom_refinement")

# Maps: orientations, grains with boundaries, poles.
save(pk.viz.acom.orientation_figure(orientations, patterns), "acom_orientations")
grains = pk.acom.label_grains(orientations, min_pixels=4)
boundaries = pk.acom.misorientation_maps(orientations, grains)
save(pk.viz.acom.boundary_figure(orientations, grains, boundaries), "acom_boundaries")
save(pk.viz.acom.plot_pole_figure(pk.acom.pole_figure(orientations, (0, 0, 1))), "acom_poles")
