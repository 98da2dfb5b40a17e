"""STXM figures and the explorer: what is drawn is what the library says."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError, StxmStatus, status_attributes

N_Y, N_X = 12, 20
NAMES = ["Na3", "Na2", "Na1"]


@pytest.fixture
def phases() -> xr.Dataset:
    rng = np.random.default_rng(0)
    phase = rng.integers(-1, 3, (N_Y, N_X))
    margin = np.where(phase >= 0, rng.uniform(0, 0.04, phase.shape), np.nan)
    status = np.where(phase < 0, StxmStatus.BACKGROUND, StxmStatus.OK).astype(np.int8)
    status[0, :5] = StxmStatus.TRANSITION
    dims = ("scan_y", "scan_x")
    return xr.Dataset(
        {
            "phase": (dims, phase),
            "margin": (dims, margin),
            "status": (dims, status, status_attributes(StxmStatus)),
            "confidence": (dims, np.where(phase >= 0, 1.0, np.nan)),
            "composition": (dims, np.where(phase >= 0, 3.0 - phase, np.nan)),
            "pearson": ((*dims, "reference"), rng.uniform(0, 1, (N_Y, N_X, 3))),
            "energy_offset": 0.2,
            "cluster_phase": ("cluster", [0, 2]),
        },
        coords={
            "reference": NAMES,
            "scan_y": ("scan_y", np.arange(N_Y) * 20.0, {"units": "nm"}),
            "scan_x": ("scan_x", np.arange(N_X) * 20.0, {"units": "nm"}),
        },
    )


@pytest.fixture
def clusters() -> xr.Dataset:
    refs = pk.synthetic.vanadium_references([510.0, 515, 517, 519, 525]).isel(reference=[0, 3])
    spectrum = refs["reference_spectrum"].rename(reference="cluster").drop_vars("cluster") * 0.2
    map_ = xr.DataArray(np.zeros((N_Y, N_X)), dims=("scan_y", "scan_x"))
    return xr.Dataset({"spectrum": spectrum, "label": map_, "responsibility": map_.expand_dims(cluster=2, axis=2)})


@pytest.fixture(autouse=True)
def headless():
    pk.viz.setup(interactive=False)
    yield
    pk.viz.setup(interactive=False)


def titles(figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes if ax.get_title() and ax.get_visible()]


def test_phase_figure_shows_truth_only_when_there_is_one(phases):
    assert titles(pk.viz.stxm.phase_figure(phases)) == ["Phase found", "Status", "Margin"]
    with_truth = pk.viz.stxm.phase_figure(phases, truth=phases["phase"])
    assert titles(with_truth) == ["Phase found", "True phase", "Status", "Margin"]


def test_phase_map_colours_follow_the_indices_and_keep_the_axes(phases):
    figure = pk.viz.stxm.phase_figure(phases)
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    assert drawn.shape[:2] == (N_Y, N_X)
    same = phases["phase"].values[:, :, None, None] == phases["phase"].values[None, None]
    flat = drawn.reshape(-1, drawn.shape[-1])
    equal = (flat[:, None] == flat[None]).all(axis=-1).reshape(same.shape)
    assert (equal == same).all()


def test_composition_figure_uses_one_scale_for_both_maps(phases):
    figure = pk.viz.stxm.composition_figure(phases, truth=phases["composition"] - 0.5)
    limits = {ax.images[0].get_clim() for ax in figure.axes if ax.get_title()}
    assert limits == {(0.5, 3.0)}


def test_composition_figure_says_when_there_is_none(phases):
    figure = pk.viz.stxm.composition_figure(phases.assign(composition=phases["composition"] * np.nan))
    assert "references carry no composition" in [text.get_text() for text in figure.axes[0].texts]


def test_spectra_are_drawn_beside_the_reference_they_are_named_after(phases, clusters):
    refs = pk.synthetic.vanadium_references().isel(reference=[0, 2, 3]).assign_coords(reference=NAMES)
    figure = pk.viz.stxm.spectra_figure(clusters, refs, phases=phases)
    labels = [ax.get_legend_handles_labels()[1] for ax in figure.axes if ax.get_title()]
    assert [sorted(label) for label in labels] == [
        ["cluster 0", "reference"],
        ["reference"],
        ["cluster 1", "reference"],
    ]
    reference = next(line for line in figure.axes[0].lines if line.get_label() == "reference")
    inside = refs.sel(energy=slice(510.2 - 1e-6, 525.2 + 1e-6))
    np.testing.assert_allclose(reference.get_xdata(), inside["energy"].values - 0.2)
    drawn = np.interp(clusters["energy"].values, reference.get_xdata(), reference.get_ydata())
    np.testing.assert_allclose([drawn.mean(), drawn.std()], [0, 1], atol=0.02)
    assert np.corrcoef(reference.get_ydata(), inside["reference_spectrum"].values[0])[0, 1] == pytest.approx(1)


def test_alignment_figure_needs_shifts_and_shows_true_ones():
    stack = pk.synthetic.stxm_stack(shape=(24, 32), n_particles=2, seed=0)
    with pytest.raises(SchemaError, match="align makes them"):
        pk.viz.stxm.alignment_figure(stack)
    aligned = stack.assign({name: stack[f"truth_{name}"] for name in ("shift_y", "shift_x")})
    labels = pk.viz.stxm.alignment_figure(aligned, truth=stack).axes[0].get_legend_handles_labels()[1]
    assert sorted(labels) == ["x found", "x true", "y found", "y true"]


def test_fraction_figure_hides_what_is_no_material(phases):
    fraction = xr.ones_like(phases["pearson"]) / 3
    fit = xr.Dataset({"fraction": fraction, "residual": fraction.isel(reference=0, drop=True)})
    figure = pk.viz.stxm.fraction_figure(fit, material=phases["phase"] >= 0)
    assert titles(figure) == [*NAMES, "Residual"]
    hidden = np.ma.getmaskarray(np.ma.masked_invalid(figure.axes[0].images[0].get_array()))
    assert (hidden == (phases["phase"].values < 0)).all()
    with pytest.raises(SchemaError, match="fit_references"):
        pk.viz.stxm.fraction_figure(fit.drop_vars("residual"))


def test_od_figure_draws_the_nearest_energy():
    stack = pk.synthetic.stxm_stack(shape=(32, 48), n_particles=3, energies=[510.0, 517.0, 525.0])
    od = pk.stxm.optical_density(stack)
    assert titles(pk.viz.stxm.od_figure(od, energy=516.0))[0].endswith("517.0 eV")


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.03])
def test_static_explorer_shows_the_librarys_number(phases, margin):
    before = phases.copy(deep=True)
    view = pk.viz.stxm.explorer(phases, margin=margin)
    share = 100 * pk.stxm.ambiguous_fraction(phases, margin)
    assert view.view.axes[0].get_title() == f"ambiguous: {share:.1f} % of pixels"
    assert view.values == {"margin": margin, "min_confidence": 0.75}
    with pytest.warns(FutureWarning, match="values"):
        assert pk.viz.stxm.chosen_margin(view, 0.5) == margin
    xr.testing.assert_identical(phases, before)


def test_live_explorer_follows_its_slider(phases, monkeypatch):
    pn = pytest.importorskip("panel")
    monkeypatch.setattr("phasekit.viz.explorer.is_interactive", lambda: True)
    explorer = pk.viz.stxm.explorer(phases, margin=0.002)
    view = explorer.view
    slider, readout = explorer.controls["margin"], explorer.readout
    assert slider in list(view.select(pn.widgets.FloatSlider))
    shares = []
    for margin in (0.005, 0.02):
        slider.value = margin
        shares.append(pk.stxm.ambiguous_fraction(phases, margin))
        assert f"ambiguous: {100 * shares[-1]:.1f} % of pixels" in str(readout.object)
        figure = next(pane.object for pane in view.select(pn.pane.Bokeh) if hasattr(pane.object, "renderers"))
        drawn = np.asarray(next(r for r in figure.renderers if r.visible).data_source.data["image"][0])
        assert drawn.dtype == np.uint8
        greyed = int((drawn == len(NAMES)).sum())
        assert greyed == round(shares[-1] * int((phases["phase"] >= 0).sum()))
        assert explorer.values["margin"] == margin
    assert shares[0] < shares[1]
    assert "pk-readout" in readout.css_classes
    view.get_root()


def test_explorer_refuses_what_is_no_phases():
    with pytest.raises(SchemaError, match="needs PHASES"):
        pk.viz.stxm.explorer(xr.Dataset())
