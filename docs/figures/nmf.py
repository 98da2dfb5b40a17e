"""Figures of the guide to the factorisation of 4D-STEM scans, from the bundled sample."""

from _common import SAMPLES, save

import phasekit as pk

patterns = pk.io.open_4dstem(SAMPLES / "nmf_grains.nc").load()
mask = pk.nmf.find_detector_mask(patterns)
features = pk.nmf.to_features(patterns, mask=mask)
save(pk.viz.nmf.features_figure(patterns, mask), "nmf_features")

ranks = pk.nmf.scan_ranks(features, range(2, 12), n_runs=4, seed=0, progress=False)
save(pk.viz.nmf.ranks_figure(ranks), "nmf_ranks")

k = pk.nmf.choose_rank(ranks)
fitted = pk.nmf.factorise(features, k, seed=0)
background = pk.nmf.propose_background(fitted)
factors = pk.nmf.separate_background(fitted, background=background)
save(pk.viz.nmf.components_figure(factors, truth=patterns), "nmf_components")
save(pk.viz.nmf.overlap_figure(factors, threshold=0.75, background=background, truth=patterns), "nmf_overlap")

more = pk.nmf.separate_background(pk.nmf.factorise(features, k + 2, seed=0))
groups = pk.nmf.group_crystals(more, pk.acom.find_peaks(pk.nmf.component_patterns(more)))
save(pk.viz.nmf.components_figure(more, groups=groups), "nmf_crystals")

loadings = pk.nmf.fit_loadings(features, factors)
probable = pk.nmf.overlap_probability(loadings, factors, background=background)
save(pk.viz.nmf.mixtures_figure(loadings, probable), "nmf_probability")

quality = pk.nmf.component_quality(factors, patterns)
figure, axes = pk.viz.panels(1, 2, width=4.2)
alike = quality["pairwise_ssim"].to_numpy()
drawn = axes[0, 0].imshow(alike, cmap="cividis")
figure.colorbar(drawn, ax=axes[0, 0], shrink=0.85).set_label("SSIM of two components [1]")
axes[0, 0].set(xlabel="other component", ylabel="component (reference)")
axes[0, 1].bar(quality["component"].to_numpy(), quality["fidelity_ssim"].to_numpy(), color=pk.viz.PHASE_COLOURS[4])
axes[0, 1].set(xlabel="component", ylabel="SSIM with the mean of its patterns [1]", ylim=(0, 1))
save(figure, "nmf_quality")
