"""Names that other distributions bring: workloads, models, recipes and exporters, by entry points.

    MODELS = Named("speech_tta.models", {"deepspeech": ...}, Kind)
    MODELS["tinyconv"]                  # asked for, and not the suite's: a plug-in's, or KeyError
    used()                              # what this process took from plug-ins: name, distribution, version, digest

A distribution says in its pyproject.toml what it brings:

    [project.entry-points."speech_tta.models"]
    tinyconv = "tinyconv:KIND"

Nothing is looked for while the suite's own names are asked for. A name that two distributions bring, or that is the
suite's own, is an error. The digest is of the files of the package that the entry point names, so that two states of a
plug-in that is being worked on are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = ("speech_tta.workloads", "speech_tta.models", "speech_tta.recipes", "speech_tta.exporters")
DIGESTED = (".py", ".toml", ".json", ".c", ".cc", ".cu")


class PlugInError(ValueError):
    """A plug-in that cannot be used; the message names it, what was found and the way out."""


@dataclass(frozen=True, kw_only=True)
class PlugIn:
    """What a distribution brings under a name; `group` is one of GROUPS without its beginning."""

    group: str
    name: str
    distribution: str
    version: str
    digest: str

    @property
    def mark(self) -> str:
        """The mark that it leaves in a variant: "tinyconv-0.1-1a2b3c4d"."""
        return f"{self.distribution}-{self.version}-{self.digest[:8]}"


_used: dict[tuple[str, str], PlugIn] = {}


def used(*groups: str) -> tuple[PlugIn, ...]:
    """Return what was taken from plug-ins in this process, of some groups ("models"), or of all."""
    return tuple(each for each in _used.values() if not groups or each.group in groups)


def names(group: str) -> list[str]:
    """Return the names that plug-ins bring to a group."""
    return sorted({each.name for each in _points(group)})


class Named(dict):
    """Things by name: the suite's own, which it iterates over, and those that plug-ins bring, when they are asked for.

    A plug-in's must be a `kind`.
    """

    def __init__(self, group: str, own: Mapping[str, Any], kind: type | tuple[type, ...]) -> None:
        super().__init__(own)
        self.group, self.kind = group, kind
        self._brought: dict[str, Any] = {}

    def __missing__(self, name: str) -> Any:
        if name in self._brought:
            return self._brought[name]
        if not name:
            raise KeyError(name)
        found = bring(self.group, name, own=self)
        if not isinstance(found, self.kind):
            raise KeyError(name)  # of another model, say
        self._brought[name] = found
        return found

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        try:
            return isinstance(name, str) and self[name] is not None
        except KeyError:
            return False

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


def bring(group: str, name: str, *, own: Mapping[str, Any]) -> Any:
    """Return what a plug-in brings to a group under a name, and remember that it was used.

    Raises:
        KeyError: none does.
        PlugInError: two do, one takes a name of the suite's own, or it cannot be loaded.
    """
    every = list(_points(group))
    for each in every:
        if dict.__contains__(own, each.name) if isinstance(own, dict) else each.name in own:
            raise PlugInError(
                f"{_of(each)} brings {each.name!r} to {group}, which is the suite's own; expected another name: "
                f"pip uninstall {_of(each)}, or have it renamed"
            )
    found = [each for each in every if each.name == name]
    if not found:
        raise KeyError(name)
    if len({_of(each) for each in found}) > 1:
        raise PlugInError(
            f"{' and '.join(sorted(map(_of, found)))} both bring {name!r} to {group}; expected one: pip uninstall one"
        )
    (point, *_) = found
    try:
        value = point.load()
    except Exception as error:  # whatever it is, it is the plug-in's
        raise PlugInError(
            f"{_of(point)} brings {name!r} to {group}, and {point.value} cannot be loaded: {type(error).__name__}: "
            f"{str(error)[:200]}"
        ) from None
    kind = group.rpartition(".")[2]
    _used[(kind, name)] = PlugIn(
        group=kind,
        name=name,
        distribution=_of(point),
        version=point.dist.version if point.dist else "0",
        digest=_digest(point.module),
    )
    return value


def _points(group: str) -> Iterable[EntryPoint]:
    from importlib import metadata  # here, as below: who asks for the suite's own names waits for none of it

    return metadata.entry_points(group=group)


def _of(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _digest(module: str) -> str:
    """Return the SHA-256 of the files of the package that a module is in, by their names."""
    import hashlib
    import importlib.util

    top = module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    folders = [Path(each) for each in (spec.submodule_search_locations or ())] if spec else []
    if not folders and spec and spec.origin:
        files = [(top, Path(spec.origin))]
    else:
        files = [
            (str(path.relative_to(folder)), path)
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.suffix in DIGESTED and path.is_file()
        ]
    found = hashlib.sha256()
    for name, path in files:
        found.update(f"{name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()
