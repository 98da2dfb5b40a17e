"""Names of functions: of one word, with a verb in front, with a participle at the end."""

import re
from collections.abc import Iterable

from .source import Package, is_dunder

#: Verbs of the list in docs/guidelines.md, and the prepositions that xarray and orix use as such.
LISTED = """
add align apply assign build check choose compare compute convert count create describe draw estimate find fit format
get has is iterate label list load make match merge open parse plot predict project read refine remove require rotate
run sample save scale select set show sort split subtract sum test train update write
as from to with
"""
#: Further verbs that are no noun as well (so no ``mask``, ``map``, ``scan``, ``score``, ``stack``, ``rank``, ``name``).
FURTHER = """
accumulate allocate append attach calculate calibrate classify combine compile compress connect decode define delete
derive detect determine display distribute divide download encode ensure evaluate exclude execute expand explain extend
extract factorise factorize fetch fill filter flag flatten gather generate handle hide identify include infer initialise
initialize insert inspect install integrate interpolate invert join keep locate maximise minimise multiply normalise
normalize optimise optimize permute prepare produce propose prune recognise recognize reconstruct reduce refuse register
reject relabel rename render repeat replace resample rescale reset reshape resize resolve restore rebin search separate
shuffle simulate smooth solve store strip summarise summarize swap symmetrise transform translate unpack unwrap use
validate verify warn weigh wrap
"""
VERBS = frozenset((LISTED + FURTHER).split())
#: Words on -ed that are no participle.
_NO_PARTICIPLE = frozenset(
    ("bed", "embed", "exceed", "feed", "indeed", "led", "need", "proceed", "red", "seed", "speed")
)


def words(name: str) -> list[str]:
    """Words of a name between underscores, the outer ones stripped; ``camelCase`` is split too."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip("_"))
    return [word.lower() for word in spaced.split("_") if word]


def named_functions(package: Package) -> list[str]:
    """Places of functions that somebody named: dunders are left out."""
    return [module.where(node) for module, node in package.functions() if not is_dunder(node.name)]


def is_one_word(name: str) -> bool:
    """No underscore inside the name once the outer ones are stripped."""
    return "_" not in name.strip("_")


def starts_with_verb(name: str) -> bool:
    return bool(words(name)) and words(name)[0] in VERBS


def holds_participle(name: str) -> bool:
    """One of its words is a regular participle (-ed)."""
    return any(word.endswith("ed") and len(word) > 3 and word not in _NO_PARTICIPLE for word in words(name))


def one_word(places: Iterable[str]) -> list[str]:
    return [place for place in places if is_one_word(_name(place))]


def without_verb(places: Iterable[str]) -> list[str]:
    return [place for place in places if not starts_with_verb(_name(place))]


def with_listed_verb(places: Iterable[str]) -> list[str]:
    """Those whose first word is in ``LISTED``, the list of docs/guidelines.md."""
    listed = set(LISTED.split())
    return [place for place in places if words(_name(place))[:1] and words(_name(place))[0] in listed]


def participles(places: Iterable[str]) -> list[str]:
    return [place for place in places if holds_participle(_name(place))]


def _name(place: str) -> str:
    return place.rpartition(":")[2]


def private_modules(package: Package) -> list[str]:
    """Modules and folders whose own name starts with an underscore."""
    return [m.name for m in package.modules if any(p.startswith("_") for p in m.name.split(".")) and "__" not in m.name]
