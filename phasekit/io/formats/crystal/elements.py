"""Chemical elements of atoms, from type symbols and labels as people write them, held against the file's formula."""

import re
from typing import NamedTuple

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As "
    "Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy "
    "Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf"
)
ELEMENTS = frozenset(_SYMBOLS.split())
# Deuterium and tritium scatter electrons as hydrogen.
_ISOTOPES = {"D": "H", "T": "H"}
_HYDROGENS = frozenset("HDT")
#: Groups that stand for their heavy atom, because their hydrogen has no position.
_GROUPS = {
    "O": re.compile(r"(wat|water|h[23]o|oh2?|o-h|hoh|ow)(\d*[+-])?", re.IGNORECASE),
    "N": re.compile(r"(nh[2-4]?)(\d*[+-])?", re.IGNORECASE),
    "C": re.compile(r"(ch[2-4]?)(\d*[+-])?", re.IGNORECASE),
}
# A charge of any sign and place (Fe3+, O2-, Fe+3, Cl-), or a number of the site (Fe1).
_SYMBOL = re.compile(r"([A-Za-z]{1,2})(\d*\.?\d*[+-]|[+-]\d*\.?\d*|\d*)\.?")
_SHARE = re.compile(r"([A-Z][a-z]?)(0?\.\d+|1\.0*)[\s,/+;]*")
# Two elements without shares: Mg/Fe, (Mg,Fe), Mg+Fe; the second of Fe+3 is no element.
_PAIR = re.compile(r"[(\[]?([A-Z][a-z]?)\d*[/,&+; ]+([A-Z][a-z]?)[\w/,&+; .]*[)\]]?")
# Names of scattering factors for atoms in a bond, in place of the element.
_BONDED = {"Cval": "C", "Siva": "Si", "Sival": "Si"}
_PLAIN = frozenset("\"'() ")
# Two capitals that may be one element or an atom and its neighbour, where no formula decides.
_TWO_READINGS = frozenset(("CO", "HO", "OS", "PO"))
_WATER_LABEL = re.compile(r"wat|o-?h(?![a-z])|oh2", re.IGNORECASE)
_HYDRATE_LABEL = re.compile(r"h[23]o", re.IGNORECASE)
_NO_ATOM = re.compile(r"(va|vac|vacancy|dum|du|xx?|q|tet|oct)[\d*]*", re.IGNORECASE)

_CURE = "write the element's symbol in _atom_site_type_symbol"
_DIVIDE = "write the element's symbol, with one row for each element and its _atom_site_occupancy"
_LEAVE_OUT = f"{_CURE}, or leave out the row if its site is empty or no atom"


class ElementError(ValueError):
    """A text names no element, or one that the file lacks; ``cure`` says what to write."""

    def __init__(self, found: str, cure: str = _CURE) -> None:
        self.cure = cure
        super().__init__(found)


class Share(NamedTuple):
    """An element and the share of its site that it has (1 for a site of one element)."""

    element: str
    share: float


def parse_formula_elements(formula: str | None) -> frozenset[str]:
    """Elements of a formula, with every reading of two capitals (CO: C, O and Co); empty where it is no formula.

    Examples
    --------
    >>> sorted(parse_formula_elements("(Mn.2 Zn.8) Ti O3")), sorted(parse_formula_elements("NI3 AL"))
    (['Mn', 'O', 'Ti', 'Zn'], ['Al', 'I', 'N', 'Ni'])
    >>> parse_formula_elements("Li1-x Co O2")
    frozenset()
    """
    found: set[str] = set()
    for word in re.findall(r"[A-Za-z]+", formula or ""):
        readings = {name for name in re.findall(r"[A-Z][a-z]?", word) if name in ELEMENTS or name in _HYDROGENS}
        whole = word.capitalize() if word.capitalize() in ELEMENTS else ""
        covered = "".join(re.findall(r"[A-Z][a-z]?", word)) == word and readings >= set(
            re.findall(r"[A-Z][a-z]?", word)
        )
        if not whole and not covered:
            return frozenset()
        found |= readings | ({whole} if whole else set())
    # Deuterium is counted as hydrogen in many formulas.
    return frozenset(found | _HYDROGENS) if found & _HYDROGENS else frozenset(found)


def read_symbol(text: str, formula: frozenset[str]) -> list[Share]:
    """Elements of a type symbol: one as a rule, several for a mixed site with the shares written out.

    Examples
    --------
    >>> [read_symbol(text, frozenset())[0].element for text in ("Fe3+", "O2-", "NA1+", "D", "H2O", "Cl-")]
    ['Fe', 'O', 'Na', 'H', 'O', 'Cl']
    >>> read_symbol("Li0.97Ni0.03", frozenset())
    [Share(element='Li', share=0.97), Share(element='Ni', share=0.03)]

    Raises
    ------
    ElementError
        Letters are left over (``Va``, ``Li/Ni``), or the formula lacks the element.
    """
    text = text.strip("\"' ")
    # An isotope of a neutron experiment (7Li, 57Fe3+) scatters electrons as its element.
    text = _BONDED.get(text, re.sub(r"^\d{1,3}(?=[A-Z])", "", text))
    mixed = _read_shares(text, formula)
    if mixed:
        return mixed
    _refuse_no_element(text)
    match = _SYMBOL.fullmatch(text)
    symbol = match[1].capitalize() if match else ""
    # Without a sign, a charge or a formula CO3 may be carbonate.
    if match and not formula and match[1] in _TWO_READINGS and not re.search(r"[+-]", text):
        raise ElementError(f"unknown element '{text[:20]}', which is {symbol} or begins with {symbol[:1]}")
    if symbol in ELEMENTS or symbol in _ISOTOPES:
        return [_check_formula(symbol, text, formula)]
    heavy = next((name for name, pattern in _GROUPS.items() if pattern.fullmatch(text)), None)
    if heavy is None:
        raise ElementError(f"unknown element '{text[:20]}'" + _describe_rest(text))
    return [_check_formula(heavy, text, formula)]


def _refuse_no_element(text: str) -> None:
    """Refuse a symbol of two elements without shares, and one of an empty site or a point that is no atom."""
    pair = _PAIR.fullmatch(text)
    if pair and ELEMENTS.issuperset(pair.groups()):
        raise ElementError(f"unknown element '{text[:20]}' of two elements ({' and '.join(pair.groups())})", _DIVIDE)
    if _NO_ATOM.fullmatch(text):
        raise ElementError(f"unknown element '{text[:20]}'" + _describe_rest(text), _LEAVE_OUT)


def _describe_rest(text: str) -> str:
    start = re.match(r"[A-Z][a-z]?", text)
    known = [name for name in (text[:2].capitalize(), text[:1].upper()) if name in ELEMENTS] if start else []
    return f" ({known[0]} with '{text[len(known[0]) :][:20]}' left over)" if known else ""


def _read_shares(text: str, formula: frozenset[str]) -> list[Share]:
    """Elements with their shares of a mixed site; empty where the text has another form."""
    parts = [(match[1], float(match[2])) for match in _SHARE.finditer(text)]
    covered = "".join(match[0] for match in _SHARE.finditer(text)) == text
    if len(parts) < 2 or not covered or sum(share for _, share in parts) > 1.02:
        return []
    if any(name not in ELEMENTS and name not in _ISOTOPES for name, _ in parts):
        return []
    return [Share(_check_formula(name, text, formula).element, share) for name, share in parts]


def _check_formula(symbol: str, text: str, formula: frozenset[str]) -> Share:
    if formula and symbol not in formula:
        raise ElementError(
            f"'{text[:20]}' read as {symbol}, an element that the file's own formula lacks",
            f"correct the formula, or {_CURE}",
        )
    return Share(_ISOTOPES.get(symbol, symbol), 1.0)


def read_label(label: str, formula: frozenset[str]) -> list[Share]:
    """Elements of an atom that has a label only: a symbol, then the name or number of its site.

    The formula decides between readings: HO1 is hydrogen beside H and O, and holmium beside Ho.

    Examples
    --------
    >>> [read_label(text, frozenset())[0].element for text in ("Fe3+", "O1", "CA", "Oa2", "NA1+", "D", "WatM3", "MgM1")]
    ['Fe', 'O', 'Ca', 'O', 'Na', 'H', 'O', 'Mg']
    >>> read_label("HO1", frozenset(("H", "O")))
    [Share(element='H', share=1.0)]

    Raises
    ------
    ElementError
        No element begins the label, the formula lacks it, or two readings are possible.
    """
    plain = "".join(letter for letter in label if letter not in _PLAIN)
    mixed = _read_shares(plain, formula)
    if mixed:
        return mixed
    _refuse_pair(plain, formula)
    if _NO_ATOM.fullmatch(plain) or not plain[:1].isalpha():
        raise ElementError(f"unknown element '{label[:20]}'", _LEAVE_OUT)
    if _HYDRATE_LABEL.match(plain):
        raise ElementError(f"label '{label[:20]}', which is water or a hydrogen bound to oxygen")
    if _WATER_LABEL.match(plain):
        return [_check_formula("O", label, formula)]
    return [_check_formula(_choose_reading(plain, formula), label, formula)]


def _refuse_pair(label: str, formula: frozenset[str]) -> None:
    """Refuse a label of two elements (Li/Ni, AsSb), whose shares are not known."""
    divided = re.match(r"([A-Z][a-z]?)\d*[/,&]([A-Z][a-z]?)|([A-Z][a-z]?)\+([A-Z][a-z])", label)
    joined = re.match(r"([A-Z][a-z])([A-Z][a-z])(?![a-z])", label)
    names = [name for match in (divided, joined) if match for name in match.groups() if name]
    # Without a stroke the second name may be that of the site: only two elements of the formula are a pair.
    known = ELEMENTS if divided else formula
    if len(names) >= 2 and all(name in known for name in names):
        raise ElementError(
            f"label '{label[:20]}' of two elements ({' and '.join(names[:2])})",
            _DIVIDE,
        )


def _choose_reading(label: str, formula: frozenset[str]) -> str:
    """Symbol that begins a label: of two letters, or of one with letters of the site behind it."""
    letters = re.match(r"[A-Za-z]+", label)[0]  # type: ignore[index]
    two, one = letters[:2].capitalize(), letters[:1].upper()
    # T is a tetrahedral site in a label, and tritium only as a type symbol.
    known = [name for name in (two, one) if name in ELEMENTS or name == "D"]
    known = list(dict.fromkeys(known)) if len(letters) > 1 else known[-1:]
    capitals = letters[1:2].isupper()
    if formula:
        named = [name for name in known if name in formula]
        if len(named) == 2 and capitals:
            raise ElementError(f"label '{label[:20]}', which is {two} or {one}: the formula has both")
        if named:
            return named[0]
    if not known:
        raise ElementError(f"unknown element '{label[:20]}'")
    if formula or (known[0] == two and len(letters) > 1):
        if not formula and capitals and letters[:2] in _TWO_READINGS:
            raise ElementError(f"label '{label[:20]}', which is {two} or {one}")
        return known[0]
    # Without a formula, letters behind one letter are the name of a site only if they are capitals; oxygen has both.
    if len(letters) > 1 and ((not capitals and one != "O") or one == "D"):
        raise ElementError(f"unknown element '{label[:20]}'" + _describe_rest(label))
    return one
