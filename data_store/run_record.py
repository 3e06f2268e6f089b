"""Is the record of a folder that of the same work? What decides results is compared by name."""

import json
from pathlib import Path
from typing import Any

from schemas.errors import RunMismatch


def require_same_record(
    path: Path, deciding: dict[str, Any], *, work: str, option: str, kept: str
) -> None:
    """Make sure that a record says the same of everything that decides the results.

    Args:
        path: a JSON file with at least the keys of `deciding`.
        deciding: what decides the results now; "settings" and "evidence" are named by their parts.
        work: what the folder holds, for the message: run, tuning.
        option: the flag that names the folder.
        kept: what would have to be as it was.

    Raises:
        RunMismatch: something differs, or the record cannot be read.
    """
    new_folder = f"give a new folder with {option}"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        before = _flat({key: record[key] for key in deciding})
    except (ValueError, KeyError, TypeError) as error:
        raise RunMismatch(
            f"{path.name} cannot be read: {error!r}", where=path, fix=new_folder
        ) from error
    now = _flat(json.loads(json.dumps(deciding)))
    changed = [
        _change(key, before.get(key), now.get(key))
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise RunMismatch(
            f"the folder holds another {work}; changed: {'; '.join(changed)}",
            where=path,
            fix=f"{new_folder}, or go back to {kept}",
        )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        key: item
        for name, child in value.items()
        for key, item in _flat(child, f"{prefix}.{name}" if prefix else name).items()
    }


def _change(key: str, before: Any, now: Any) -> str:
    if key.startswith("evidence."):
        return f"the store's {key.removeprefix('evidence.')}"
    return f"{key.removeprefix('settings.')} was {before!r}, is {now!r}"
