"""Rules for tables of spectra and for incident spectra."""

from .rule import Rule

#: Energies of references, incident spectra and the energies beside a stack.
ENERGY_EV = Rule(
    name="energy_ev",
    quantity="a photon energy",
    # Wavelengths of the edges from C K upwards are shorter than 45 angstrom; the edges of Li, Mg and Fe M lie above.
    low=45.0,
    high=50_000.0,
    unit="eV",
    reason="no absorption edge of a transmission spectrum lies there",
    cause="the unit in the file is wrong: keV called eV, or eV called keV",
    cure="give the unit of the numbers with energy_unit='keV' or energy_unit='eV'",
)

#: Contrast of a stack that is averaged to an incident spectrum.
I0_CONTRAST = Rule(
    name="i0_contrast",
    quantity="a relative spread of the mean image",
    low=0.0,
    high=0.05,
    unit="of its mean",
    reason="the light without a sample is even over the image",
    cause="the stack shows a sample, or the edge of a window",
    cure="give a stack without sample, or the stack itself to pk.stxm.optical_density",
)

RULES = (ENERGY_EV, I0_CONTRAST)
