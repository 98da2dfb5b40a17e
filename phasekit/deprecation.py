"""Old names of functions and arguments, kept for one release with a warning that says the new one."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import lazy_loader as _lazy

P = ParamSpec("P")
R = TypeVar("R")


def attach_stub(package: str, file: str, *, renamed: Mapping[str, str]) -> tuple[Callable[[str], Any], Any, list[str]]:
    """``lazy_loader.attach_stub`` that also gives access to old names.

    Parameters
    ----------
    package, file
        ``__name__`` and ``__file__`` of the package whose ``__init__.pyi`` lists its public names.
    renamed
        Old name -> new name. An old name gives the new function and a FutureWarning; ``dir()`` does not list it.

    Returns
    -------
    tuple
        ``__getattr__``, ``__dir__`` and ``__all__`` of the package.

    Examples
    --------
    >>> import warnings
    >>> import phasekit as pk
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     pk.acom.register_peaks is pk.acom.calibrate_peaks
    True
    >>> str(caught[0].message)
    'phasekit.acom.register_peaks is now called calibrate_peaks; the old name is deprecated and will be removed.'
    """
    load, names, public = _lazy.attach_stub(package, file)

    def __getattr__(name: str) -> Any:  # noqa: N807 -- it becomes the package's
        if name not in renamed:
            return load(name)
        warnings.warn(
            f"{package}.{name} is now called {renamed[name]}; the old name is deprecated and will be removed.",
            FutureWarning,
            stacklevel=2,
        )
        return load(renamed[name])

    return __getattr__, names, public


def renamed_arguments(**renamed: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function accept old names of its arguments, with a FutureWarning.

    Parameters
    ----------
    renamed
        Old name = new name.

    Raises
    ------
    TypeError
        In the call: both names were given.

    Examples
    --------
    >>> import warnings
    >>> @renamed_arguments(center="centre")
    ... def shift(centre=0):
    ...     return centre
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     shift(center=3)
    3
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in renamed.keys() & kwargs.keys():
                new = renamed[old]
                if new in kwargs:
                    raise TypeError(f"{function.__name__}: {old!r} is the old name of {new!r}. Give only {new!r}.")
                warnings.warn(
                    f"{function.__name__}: the argument {old!r} is now called {new!r}; the old name is deprecated "
                    "and will be removed.",
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate
