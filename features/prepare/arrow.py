"""A folder of Hugging Face datasets on disk, or Parquet files; read by pyarrow.

    read_arrow(Path("minds14"), columns=Columns())

`save_to_disk` writes dataset_dict.json and a folder a split, each with data-*.arrow; `to_parquet` and the hub write
Parquet files, whose names begin with their split. The audio is a struct of bytes and a path, as datasets keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from features.prepare.spoken import SourceError, Spoken, named_subset, subset_of
from features.prepare.tables import Columns


def arrow_files(source: Path) -> list[Path]:
    """Return the Arrow or Parquet files that a source is or holds, in order."""
    if source.is_file():
        return [source] if source.suffix in (".arrow", ".parquet") else []
    found = sorted(each for each in source.rglob("*.arrow") if not each.name.startswith("cache-"))
    return found or sorted(source.rglob("*.parquet"))


def read_arrow(source: Path, *, columns: Columns) -> Iterator[Spoken]:
    """Yield what each row says; audio stays where it is until it is written.

    Raises:
        SourceError: a file is damaged, or a column is missing.
    """
    for path in arrow_files(source):
        table = _table(path)
        found = columns.find(table.column_names, str(path))
        if columns.audio is None:
            found["audio"] = next((each for each in table.column_names if _holds_audio(table, each)), found["audio"])
        if not _holds_audio(table, found["audio"]):
            kind = table.schema.field(found["audio"]).type
            raise SourceError(
                f"{path}: column {found['audio']!r} is {str(kind)[:60]}; expected audio as datasets keeps it, a struct "
                f"of bytes and path: cast it to Audio before saving"
            )
        subset = _subset(path, source)
        wanted = table.select([column for thing, column in found.items() if thing != "audio"])
        names = table.column(found["audio"]).combine_chunks().field("path").to_pylist() if table.num_rows else []
        for row, said in enumerate(wanted.to_pylist()):
            values = {thing: said[column] for thing, column in found.items() if thing != "audio"}
            where = f"{path}:{row}"
            if not isinstance(values["text"], str):
                raise SourceError(f"{where}: text is {str(values['text'])[:40]!r}; expected a sentence")
            named = Path(str(names[row])).stem if names[row] else f"{path.stem}-{row}"
            yield Spoken(
                id=str(values.get("id") or named),
                audio=path,
                row=row,
                column=found["audio"],
                text=values["text"],
                where=where,
                speaker=str(values.get("speaker") if values.get("speaker") is not None else ""),
                subset=named_subset(str(values["subset"]), where) if values.get("subset") else subset,
            )


def _holds_audio(table: Any, column: str) -> bool:
    kind = table.schema.field(column).type
    return hasattr(kind, "get_field_index") and kind.get_field_index("bytes") >= 0


def audio_bytes(path: Path, row: int, *, column: str) -> bytes:
    """Return an encoded recording of a file. Raises SourceError if it holds none."""
    found: dict[str, Any] = _table(path).column(column)[row].as_py() or {}
    if not found.get("bytes"):
        there = Path(str(found.get("path")))
        if there.is_file():
            return there.read_bytes()
        raise SourceError(f"{path}:{row}: holds no audio, and {str(there)[:100]} is not there; expected its bytes")
    return found["bytes"]


def _subset(path: Path, source: Path) -> str:
    """Return the subset of a file: its folder's name, or the beginning of its own ("train-00000-of-00002.parquet")."""
    if path.suffix == ".arrow":
        return subset_of(path.parent.name) if path.parent != source else ""
    return subset_of(path.stem.split("-")[0]) or (subset_of(path.parent.name) if path.parent != source else "")


@lru_cache(maxsize=2)
def _table(path: Path) -> Any:
    import pyarrow
    from pyarrow import ipc, parquet

    try:
        if path.suffix == ".parquet":
            return parquet.read_table(path, memory_map=True)
        with pyarrow.memory_map(str(path)) as mapped:
            return ipc.open_stream(mapped).read_all()
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(f"{path}: cannot be read ({str(error)[:120]}); expected what datasets writes") from None
