"""Figures of the guide to STXM phase maps, from the bundled sample."""

import numpy as np
from _common import SAMPLES, save

import phasekit as pk

stack = pk.io.open_stxm(SAMPLES / "stxm_nvpf.nc").load()
references = pk.io.open_references(SAMPLES / "stxm_nvpf_references.csv")

# Opening: three frames of the stack.
figure, axes = pk.viz.panels(1, 3)
for ax, place in zip(axes[0], (0, stack.sizes["energy"] // 2, -1), strict=True):
    frame = stack["intensity"].isel(energy=place)
    brightest = float(frame.quantile(0.999))  # single hot pixels would take the whole scale
    pk.viz.image(ax, frame, label="transmitted intensity [counts]", vmax=brightest)
    ax.set_title(f"{float(frame['energy']):.1f} eV")
save(figure, "stxm_opening")

# Which energies.
plan = pk.stxm.select_energies(references, n=10)
forecast = pk.stxm.predict_errors(references, seed=0)
save(pk.viz.stxm.planning_figure(references, plan, forecast=forecast), "stxm_energies")

# Alignment and optical density.
aligned = pk.stxm.align(stack, progress=False)
save(pk.viz.stxm.alignment_figure(aligned, truth=stack), "stxm_alignment")
od = pk.stxm.optical_density(aligned).compute()
save(pk.viz.stxm.od_figure(od), "stxm_optical_density")

# What changes all spectra alike.
spectrum = references["reference_spectrum"].isel(reference=0)
energy = spectrum["energy"].to_numpy()
density = (spectrum / spectrum.max()).to_numpy()
stray, slope, offset = 0.08, 0.02, 0.4
changed = {
    f"energy offset {offset} eV": np.interp(energy + offset, energy, density),
    f"stray light {stray}": -np.log(stray + (1 - stray) * np.exp(-2 * density)) / 2,
    f"background slope {slope} per eV": density + slope * (energy - energy.mean()) * density.mean(),
}
figure, axes = pk.viz.panels(1, 3)
for ax, (label, values) in zip(axes[0], changed.items(), strict=True):
    ax.plot(energy, density, color="#7A7A7A", label="reference")
    ax.plot(energy, values, color=pk.viz.PHASE_COLOURS[4], label="as it is seen")
    ax.set(title=label, xlabel="energy [eV]", ylabel="optical density [relative]", xlim=(511, 530))
axes[0, 0].legend(frameon=False)
save(figure, "stxm_systematics")

# Clusters and the map.
gmvae = pk.stxm.fit_gmvae(od, n_clusters=8, seed=0, progress=False)
clusters = pk.stxm.assign_clusters(od, gmvae).compute()
phases = pk.stxm.label_phases(od, clusters, references, seed=0).compute()
save(pk.viz.stxm.spectra_figure(clusters, references, phases=phases), "stxm_clusters")
save(pk.viz.stxm.phase_figure(phases, truth=stack["truth_phase"]), "stxm_phases")

# Particles and a profile across a boundary.
particles = pk.stxm.label_particles(phases)
statistics = pk.stxm.particle_statistics(phases, particles)
save(pk.viz.stxm.particle_figure(phases, particles, statistics), "stxm_particles")
fit = pk.stxm.fit_references(od, references).compute()
composition = pk.stxm.fitted_composition(fit, references)
length = statistics["boundary_length"].sum("particle_number").to_numpy()
longest = np.unravel_index(int(np.nanargmax(length)), length.shape)
names = references["reference"].to_numpy()
between = (str(names[longest[0]]), str(names[longest[1]]))
save(pk.viz.stxm.profile_figure(pk.stxm.boundary_profile(composition, particles, between)), "stxm_profile")
