import pytest

import phasekit as pk


@pytest.fixture(scope="module")
def scan():
    return pk.synthetic.overlapping_grains(n_components=3, shape=(14, 16), detector=(32, 32), dose=5000)


@pytest.fixture(scope="module")
def factors(scan):
    return pk.nmf.factorise(pk.nmf.to_features(scan), 4)


def test_figures_say_what_they_show(scan, factors, tmp_path):
    ranks = pk.nmf.scan_ranks(pk.nmf.to_features(scan), range(2, 6), n_runs=2, progress=False)
    figures = {
        "mask": pk.viz.nmf.features_figure(scan, pk.nmf.find_detector_mask(scan)),
        "components": pk.viz.nmf.components_figure(factors, truth=scan.chunk(scan_y=5)),
        "ranks": pk.viz.nmf.ranks_figure(ranks),
        "overlap": pk.viz.nmf.overlap_figure(factors, truth=scan.chunk(scan_y=5)),
    }
    for name, figure in figures.items():
        assert figure.get_label().endswith(".")
        path = pk.viz.save_figure(figure, tmp_path / f"{name}.png", alt=figure.get_label())
        assert path.stat().st_size > 5000


def test_figures_without_truth(scan, factors):
    measured = scan[["intensity"]]
    assert len(pk.viz.nmf.components_figure(factors, truth=measured).axes) == 2 * 4 + 2
    assert len([ax for ax in pk.viz.nmf.overlap_figure(factors).axes if ax.get_title()]) == 3


def test_explorer_number_is_the_library_number(factors):
    pk.viz.setup(interactive=False)
    figure = pk.viz.nmf.explorer(factors, 0.6).view
    expected = 100 * pk.nmf.overlap_fraction(factors, 0.6)
    assert figure.axes[0].get_title() == f"overlap: {expected:.1f} % of pixels"


def test_live_slider_moves_number_and_choice(factors, monkeypatch):
    monkeypatch.setattr("phasekit.viz.explorer.is_interactive", lambda: True)
    explorer = pk.viz.nmf.explorer(factors, 0.75)
    slider, readout = explorer.controls["threshold"], explorer.readout
    slider.value = 0.5
    expected = 100 * pk.nmf.overlap_fraction(factors, 0.5)
    assert readout.object == f"overlap: {expected:.1f} % of pixels"
    assert "pk-readout" in readout.css_classes
    assert explorer.values == {"threshold": 0.5}
    with pytest.warns(FutureWarning, match="values"):
        assert pk.viz.nmf.chosen_threshold(explorer, 0.75) == 0.5
