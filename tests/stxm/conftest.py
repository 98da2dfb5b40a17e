import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import phasekit as pk
from tests.stxm.field import field, references


@pytest.fixture(scope="session")
def refs():
    return references()


@pytest.fixture(scope="session")
def stack():
    return field(photons=1500, offset=0.25, drift=0.6, seed=3)


@pytest.fixture(scope="session")
def aligned(stack):
    return pk.stxm.align(stack, progress=False)


@pytest.fixture(scope="session")
def od(aligned):
    return pk.stxm.optical_density(aligned).compute()


@pytest.fixture(scope="session")
def gmvae(od):
    training = pk.stxm.Training(n_steps=120, batch=512)
    return pk.stxm.fit_gmvae(od, n_clusters=6, seed=1, progress=False, training=training)


@pytest.fixture(scope="session")
def clusters(od, gmvae):
    return pk.stxm.assign_clusters(od, gmvae)


@pytest.fixture(scope="session")
def phases(od, clusters, refs):
    return pk.stxm.label_phases(od, clusters, refs)
