"""Tables from beamlines, absorption programs and databases."""

import math

from .expected import Opens, Refused
from .spreadsheet_tables import RIGHT, Table
from .table_texts import ERROR, I0, INDEX, IT, A, B, E, lines, spec, stars, table, xdi

THETA = [64.2, 63.1, 62.5, 62.1, 61.7, 60.2]
ZERO = [0.0] * 6
TIME = [1.0] * 6
CURRENT = [401.0, 400.7, 400.2, 399.8, 399.1, 398.5]
CLOCK = [f"10:00:0{i}" for i in range(6)]
KEV = [7.100, 7.105, 7.112, 7.115, 7.120, 7.150]
K_EV = [7100.0, 7105.0, 7112.0, 7115.0, 7120.0, 7150.0]
E_OTHER = [e + 0.4 for e in E]
XMU = ["energy eV", "xmu", "bkg", "pre_edge", "post_edge", "der", "sec", "i0"]
NORM = ["energy eV", "norm", "nbkg", "flat", "fbkg", "nder", "nsec"]
POST = [0.9, 0.91, 0.92, 0.93, 0.94, 0.95]

XAS = [
    Table(
        "XDI 1.0 of the specification",
        xdi(["energy eV", "i0", "itrans", "mutrans"], E, I0, IT, A),
        Opens({"foil": A}, E),
        "XDI dictionary: mutrans is ln(i0/itrans), i0 and itrans are intensities",
        "foil.xdi",
    ),
    Table(
        "XDI with angle before energy, and fluorescence",
        xdi(["angle degrees", "energy eV", "i0", "ifluor", "mufluor"], THETA, E, I0, IT, A),
        Opens({"foil": A}, E),
        "XDI allows any order; mufluor is ifluor/i0",
        "foil.xdi",
    ),
    Table(
        "XDI in keV",
        xdi(["energy keV", "mutrans"], KEV, A),
        Opens({"foil": A}, K_EV),
        "XDI: units of the energy are eV or keV, stated in Column.N",
        "foil.xdi",
    ),
    Table(
        "XDI with k instead of energy",
        xdi(["k 1/angstrom", "chi"], [0.0, 0.5, 1.0, 1.5, 2.0, 2.5], A),
        Refused(("energ",)),
        "chi(k) is no absorption spectrum: no energies",
        "foil.xdi",
    ),
    Table(
        "XDI of intensities only",
        xdi(["energy eV", "i0", "itrans"], E, I0, IT),
        Opens({"foil": [math.log(a / b) for a, b in zip(I0, IT, strict=True)]}, E),
        "XDI dictionary: mutrans is ln(i0/itrans)",
        "foil.xdi",
    ),
    Table(
        "Athena, mu(E)",
        xdi(XMU, E, A, B, ZERO, POST, ERROR, ZERO, I0, program="Athena/0.9.24", labels=["e", *XMU[1:]]),
        Opens({"FeO": A}, E),
        "Demeter manual, 'Column output files': the others are background lines, derivatives and I0",
        "FeO.xmu",
    ),
    Table(
        "Athena, norm(E)",
        xdi(NORM, E, A, ZERO, B, ZERO, ERROR, ZERO, program="Athena/0.9.24", labels=["e", *NORM[1:]]),
        Opens({"FeO": A}, E),
        "one spectrum in two normalisations is one reference: norm, as the menu says",
        "FeO.nor",
    ),
    Table(
        "Athena, marked groups",
        xdi(["energy eV", "FeO", "Fe2O3_(old)"], E, A, B, program="Demeter/0.9.26"),
        Opens({"FeO": A, "Fe2O3_(old)": B}, E),
        "Demeter's save_many joins names with _ and writes one column each",
        "marked.nor",
    ),
    Table(
        "Larch write_ascii",
        table("# Larix saved group\n#---------------------\n#  energy   mu   i0", E, A, I0, sep="   ", before="   "),
        Opens({"fe": A}, E),
        "larch.io.write_ascii: header lines, a line of dashes, labels",
        "fe.xdi",
    ),
    Table(
        "table in keV without unit",
        table("energy mu", KEV, A, sep=" "),
        Refused(("energy_unit",), {"energy_unit": "keV"}, Opens({"table": A}, K_EV)),
        "7.1 can be keV; calling it eV is wrong, a refusal names energy_unit",
    ),
    Table(
        "pairs of columns, energies in both",
        table("Energy1\tA\tEnergy2\tB", E, A, E, B, sep="\t"),
        RIGHT,
        "Origin users keep one X column for each Y",
    ),
    Table(
        "errors between the spectra",
        table("energy,A,A_err,B,sigma(B)", E, A, ERROR, B, ERROR),
        RIGHT,
        "an error of a spectrum is no reference",
        "refs.csv",
    ),
    Table(
        "counts before the energy",
        table("Counts,A,hv (eV),B", I0, A, E, B),
        Refused(("columns=['A', 'B']",), {"columns": ["A", "B"]}, RIGHT),
        "hv is the photon energy, wherever it stands; whether counts are wanted the user says",
        "refs.csv",
    ),
    Table(
        "setpoint and readback of the energy",
        table("energy_setpoint energy_readback A", E, E_OTHER, A, sep=" "),
        Refused(("energy_setpoint",), {"energy_column": "energy_readback"}, Opens({"table": A}, E_OTHER)),
        "both are energies: the user chooses, and the other one is no reference",
    ),
    Table(
        "a name twice",
        table("energy,A,A", E, A, B),
        Refused(("A",), {"columns": 1}, Opens({"A": A}, E)),
        "two columns of one name: a place decides",
        "refs.csv",
    ),
]

SCANS = [
    Table(
        "SPEC, one scan",
        spec((1, ["Energy", "Epoch", "Seconds", "I0", "TEY"], (E, INDEX, TIME, I0, A))),
        Refused(("columns='TEY'",), {"columns": "TEY"}, Opens({"foil": A}, E)),
        "SPEC manual: #L names divided by two blanks; I0 is no reference, the yield is one if the user says so",
        "foil.spec",
    ),
    Table(
        "SPEC, two scans",
        spec((1, ["Energy", "TEY"], (E, A)), (2, ["Energy", "TEY"], (E, B))),
        Refused(("scan",), {"scan": 2}, Opens({"foil": B}, E)),
        "two scans are two measurements, the user chooses",
        "foil.spec",
    ),
    Table(
        "SPEC, names of two words",
        spec((7, ["Mono Energy", "Seconds", "Ion Ch 1", "Fe Ka"], (E, TIME, I0, A))),
        Refused(("Fe Ka",), {"columns": "Fe Ka"}, Opens({"foil": A}, E)),
        "blanks are part of a SPEC name; ion chamber and fluorescence are counters that the user tells apart",
        "foil.spec",
    ),
    Table(
        "SPEC, the number 1 twice",
        spec((1, ["Energy", "TEY"], (E, A)), (1, ["Energy", "TEY"], (E, B))),
        Refused(("scan",), {"scan": "1.2"}, Opens({"foil": B}, E)),
        "SPEC starts at 1 again after newfile: silx calls them 1.1 and 1.2",
        "foil.spec",
    ),
    Table(
        "tables below each other, blank lines between",
        table("energy A", E, A, sep=" ") + "\n\n" + table("energy B", E, B, sep=" "),
        Refused(("scan",), {"scan": 2}, Opens({"table": B}, E)),
        "gnuplot's data blocks: two scans",
    ),
]

MICROSCOPES = [
    Table(
        "Mantis, spectrum",
        table(stars(name="goethite"), E, A, sep=", ", form=".6f"),
        Opens({"goethite": A}, E),
        "Mantis, write_csv of a spectrum: two columns without names, so the name of the file",
        "goethite.csv",
    ),
    Table(
        "Mantis, spectra of regions",
        table(stars(name="ROI spectrum") + "\nphoton energy,current ROI,ROI 1", E, A, B),
        Opens({"current ROI": A, "ROI 1": B}, E),
        "Mantis, write_csv of regions: names below the stars",
        "rois.csv",
    ),
    Table(
        "aXis2000 text",
        "% Fe2O3 hematite\n% 21-Jul-08\n  6\n" + lines(E, A, sep="   ", form=".5f", before="   "),
        Opens({"hematite": A}, E),
        "aXis2000: % lines, the number of points, then pairs",
        "hematite.txt",
    ),
    Table(
        "CXRO, filter transmission",
        table(
            " Fe2O3 Density=5.24 Thickness=0.1 microns\n Photon Energy (eV), Transmission",
            E,
            A,
            sep="     ",
            before="     ",
        ),
        Refused(("transmission",), {"columns": "Transmission"}, Opens({"xray1234": A}, E)),
        "transmission falls where absorption rises: taking it for absorption inverts the spectrum",
        "xray1234.dat",
    ),
    Table(
        "CXRO, attenuation length",
        table(" Fe2O3 Density=5.24, Angle=90.deg\n  Photon Energy (eV), Atten Length (microns)", E, A, sep="     "),
        Refused(("Atten Length",)),
        "a length is the inverse of the absorption",
        "xray1234.dat",
    ),
    Table(
        "Henke, scattering factors",
        table("E(eV)\tf1\tf2", E, [-9999.0, 2.0, 3.0, 4.0, 5.0, 6.0], A, sep="\t", form=".5f"),
        Refused(("f1",), {"columns": "f2"}, Opens({"fe": A}, E)),
        "CXRO .nff: only f2 absorbs, -9999 means missing",
        "fe.nff",
    ),
    Table(
        "XCOM, MeV",
        table("Photon Energy (MeV)  mu/rho (cm2/g)", [e * 1e-6 for e in K_EV], A, sep="  ", form=".6E"),
        Opens({"table": A}, K_EV),
        "NIST XCOM writes MeV, with a capital M: a million",
    ),
    Table(
        "EELS, EMSA/MAS of pairs",
        "#FORMAT      : EMSA/MAS Spectral Data File\n#VERSION     : 1.0\n#TITLE       : FeO\n#DATATYPE    : XY\n"
        "#XUNITS      : eV\n#YUNITS      : counts\n#SPECTRUM    : Spectral Data Starts Here\n"
        + lines(E, A, sep=", ")
        + "#ENDOFDATA   :\n",
        Opens({"FeO": A}, E),
        "ISO 22029: #DATATYPE XY is pairs of energy and value",
        "FeO.msa",
    ),
    Table(
        "EELS, EMSA/MAS of values only",
        "#FORMAT      : EMSA/MAS Spectral Data File\n#TITLE       : FeO\n#DATATYPE    : Y\n#XUNITS      : eV\n"
        "#XPERCHAN    : 0.5\n#OFFSET      : 700\n#SPECTRUM    : Spectral Data Starts Here\n"
        + lines([710.0, 712.0, 715.0, 718.0, 722.0, 730.0], end=",\n")
        + "#ENDOFDATA   :\n",
        Refused(("energ",)),
        "ISO 22029: the energies are OFFSET + i XPERCHAN; counts that rise must not become energies",
        "FeO.msa",
    ),
]

DOORS = [
    Table(
        "yield, I0 and their ratio",
        table("Energy,TEY,I0,TEY/I0", E, IT, I0, A),
        Refused(("columns='TEY/I0'",), {"columns": "TEY/I0"}, Opens({"TEY/I0": A}, E)),
        "beamlines write all three; the ratio is what a user means",
        "foil.csv",
    ),
    Table(
        "ALS, counters with a clock",
        "Date: 1/2/2020\nSample: foil\n"
        + table("Time of Day\tTime (s)\tMono Energy\tCounter 0\tBeam Current", CLOCK, INDEX, E, IT, CURRENT, sep="\t"),
        Opens({"foil": IT}, E),
        "text, time and ring current stand beside the only counter",
        "foil.txt",
    ),
    Table(
        "SSRL, names below each other",
        "  SSRL - EXAFS Data Collector 1.3\n  Wed Jan 01 10:00:00 2020\nPTS:  6 COLS: 4\nReal time clock\n"
        "Requested energy\nAchieved energy\nI1\n" + lines(INDEX, E, E_OTHER, A, sep="   "),
        Refused(("energy_column",), {"energy_column": 1, "columns": 3}, Opens({"foil": A}, E)),
        "one table: dates and sizes above it are no scan",
        "foil.dat",
        {"columns": 3},
    ),
    Table(
        "Photon Factory, angles only",
        "  9809     KEK-PF  BL12C\n foil.001   18.11.10 21:09\n Mono :   SI(111)       D=  3.13551 A\n"
        + table("     Angle(c)     Angle(o)     time/s           2           3", THETA, THETA, TIME, I0, IT, sep="   "),
        Refused(("Angle(c)", "12398")),
        "9809 format: energies follow from the angle and D; angles of 60 degrees are no 60 eV",
        "foil.001",
    ),
    Table(
        "angle and absorption",
        table("theta mu", THETA, A, sep=" "),
        Refused(("theta", "energies")),
        "60 lies where edges do; the name says that it is an angle",
    ),
    Table(
        "kinetic energy beside the photon energy",
        table("Photon Energy,Kinetic Energy,A", E, THETA, A),
        Opens({"A": A}, E),
        "partial yield: the analyser's energy is no reference",
        "foil.csv",
    ),
    Table(
        "quantities divided by their units",
        table("t/s;E/eV;I_ring/mA;T/K;A", INDEX, E, CURRENT, CURRENT, A, sep=";"),
        Opens({"A": A}, E),
        "SI brochure 5.4.1: a time, a current in mA and a temperature are no absorption",
        "foil.csv",
    ),
    Table(
        "energy loss",
        table("Energy Loss (eV),A,B", E, A, B),
        RIGHT,
        "EELS: the loss is the energy of the edge",
        "eels.csv",
    ),
    Table(
        "transmission in percent, two samples",
        table("Energy,Transmission FeO (%),Transmission Fe2O3 (%)", E, POST, POST),
        Refused(("transmission",)),
        "what passes is no absorption, whatever else is in the name",
        "foil.csv",
    ),
    Table(
        "refractive index of CXRO",
        table(" Fe2O3 Density=5.24\n Energy(eV), Delta, Beta", E, A, B, sep="  "),
        Refused(("Delta", "Beta"), {"columns": "Beta"}, Opens({"index": B}, E)),
        "delta is no absorption",
        "index.dat",
    ),
    Table(
        "a current of unknown name beside an absorption",
        table("Energy,mesh_current,FeO", E, I0, A),
        Refused(("columns='FeO'",), {"columns": "FeO"}, Opens({"FeO": A}, E)),
        "one is ten thousand times as large as the other: counts",
        "foil.csv",
    ),
    Table(
        "mean, deviation and number of spectra",
        table("Energy,FeO,FeO stdev,FeO n", E, A, ERROR, [3.0] * 6),
        Opens({"FeO": A}, E),
        "deviation and number describe FeO",
        "foil.csv",
    ),
    Table(
        "spectra as rows with their names",
        "energy," + lines(*[[e] for e in E]) + "A," + lines(*[[a] for a in A]) + "B," + lines(*[[b] for b in B]),
        Refused(("transpose",)),
        "the energies run along the first row",
        "rows.csv",
    ),
]

INCIDENT = [
    Table(
        "Mantis, I0 spectrum",
        table(f"{'*' * 21} I0 Spectrum  {'*' * 20}\n*\n* ev, intensity", E, I0, sep=", ", form=".2f"),
        Opens({"i0": I0}, E),
        "Mantis, write_spectrum",
        "i0.csv",
    ),
    Table(
        "I0 beside an index and the transmitted counts",
        table("point,hv,It,I0", INDEX, E, IT, I0),
        Opens({"i0": I0}, E),
        "the column named I0 is I0",
        "i0.csv",
    ),
    Table(
        "XDI, I0 of a scan",
        xdi(["energy eV", "i0", "itrans", "mutrans"], E, I0, IT, A),
        Opens({"i0": I0}, E),
        "XDI dictionary: i0 is the incident intensity",
        "foil.xdi",
    ),
    Table(
        "SDF .xsp of a falling scan",
        lines(E[::-1], I0[::-1], sep="\t", form=".3f"),
        Opens({"i0": I0}, E),
        "two columns, energies as scanned; the result rises",
        "i0_0.xsp",
    ),
    Table(
        "two counters and no name that says I0",
        table("energy,diode,apd", E, I0, IT),
        Refused(("diode", "apd"), {"columns": "diode"}, Opens({"i0": I0}, E)),
        "either may be it",
        "i0.csv",
    ),
    Table(
        "I0 with a dead point",
        table("energy,i0", E, [*I0[:3], 0.0, *I0[4:]]),
        Refused(("710", "positive")),
        "no optical density from zero photons; the message says where",
        "i0.csv",
    ),
]
