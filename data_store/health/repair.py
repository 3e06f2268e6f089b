"""Put right what `verify` found: nothing is deleted but abandoned temporary files.

Damaged and foreign files go to STORE/quarantine/<name>.<n>. A file is moved by one rename, or on
object storage copied before it is deleted; so wherever the process dies, every file is whole in
its old place or its new one, and running the repair again goes on.
"""

import errno
import os
from dataclasses import replace
from itertools import count
from pathlib import PurePosixPath

from data_store.console import say
from data_store.faults import reach
from data_store.files import flush
from data_store.folders import LocalFolder, not_writable
from data_store.health.findings import Finding, Remedy, Report
from data_store.health.other_files import QUARANTINE
from data_store.health.verify import index_state
from data_store.layout import Store
from schemas.errors import LeafError
from schemas.ids import sha256_bytes

LONGEST_NAME_BYTES = 240
"""File systems allow 255; the number that is added needs some."""


def repair(store: Store, report: Report) -> Report:
    """Move, delete and put back what the findings ask for, then bring the index up to date.

    Returns:
        The report, with what was done. A file that cannot be moved stays an open finding.
    """
    reach("repair.begun")
    findings = [_repaired(store, finding) for finding in report.findings]
    index = report.index
    if not any(finding.is_open for finding in findings):
        index, problems = index_state(store)
        findings += problems
    reach("repair.done")
    return replace(report, findings=findings, index=index)


def would_repair(report: Report) -> Report:
    """The report with what `repair` would do said in each fix; everything is left as it is."""
    return replace(report, findings=[_announced(finding) for finding in report.findings])


def _announced(finding: Finding) -> Finding:
    words = {
        Remedy.LEAVE: "",
        Remedy.QUARANTINE: f"--repair would move it to {QUARANTINE}/",
        Remedy.DELETE: "--repair would delete it",
        Remedy.MOVE_HOME: f"--repair would move it to {finding.home}, or to {QUARANTINE}/ if that"
        " is taken",
    }[finding.remedy]
    return replace(finding, fix=f"{words}; {finding.fix}" if words else finding.fix)


def _repaired(store: Store, finding: Finding) -> Finding:
    if finding.remedy is Remedy.LEAVE:
        return finding
    try:
        done = _remedy(store, finding)
    except FileNotFoundError:
        return replace(finding, repaired="gone already")
    except LeafError as error:
        say(f"{finding.where} stays where it is: {error}")
        return replace(finding, fix=error.fix)
    say(f"{finding.where}: {done}")
    return replace(finding, repaired=done, fix=finding.then)


def _remedy(store: Store, finding: Finding) -> str:
    name = finding.name
    match finding.remedy:
        case Remedy.DELETE:
            store.folder.delete(name)
            return "deleted"
        case Remedy.MOVE_HOME if not store.folder.has(finding.home):
            _move(store, name, finding.home)
            return f"moved to {finding.home}"
        case _:
            good = _good_copy(store, name)
            if good is None:
                return f"moved to {_quarantine(store, name)}"
            # Written over the damaged one and not after it: deleting would take the copy along.
            target = _quarantine(store, name, keep=True)
            store.folder.write(name, good)
            return f"copied to {target}, and put right from this machine's copy"


def _good_copy(store: Store, name: str) -> bytes | None:
    """A shard of object storage as this machine's mirror has it, if that is sound."""
    copy = store.root / name
    if isinstance(store.folder, LocalFolder) or not copy.is_file():
        return None
    data = copy.read_bytes()
    return data if sha256_bytes(data) == PurePosixPath(name).stem else None


def _quarantine(store: Store, name: str, *, keep: bool = False) -> str:
    """Move a file under a name that is free; with `keep` it stays where it is, too."""
    place = PurePosixPath(QUARANTINE) / PurePosixPath(name).parent
    base = os.fsencode(PurePosixPath(name).name)[:LONGEST_NAME_BYTES].decode("utf-8", "ignore")
    targets = (f"{place}/{base}.{number}" for number in count(1))
    target = next(one for one in targets if not _is_taken(store, one, name))
    if keep:
        _copy(store, name, target)
    else:
        _move(store, name, target)
    return target


def _is_taken(store: Store, target: str, name: str) -> bool:
    """Whether there is another file; a copy that a killed repair made of this one is none."""
    if isinstance(store.folder, LocalFolder):
        return os.path.lexists(store.root / target)
    return store.folder.has(target) and store.folder.read(target) != store.folder.read(name)


def _move(store: Store, name: str, target: str) -> None:
    if not isinstance(store.folder, LocalFolder) or not _rename(store, name, target):
        _copy(store, name, target)
        store.folder.delete(name)
    reach("repair.moved")


def _copy(store: Store, name: str, target: str) -> None:
    store.folder.write(target, store.folder.read(name))
    reach("repair.copied")


def _rename(store: Store, name: str, target: str) -> bool:
    """Whether the file could be renamed; between two file systems it cannot."""
    source, goal = store.root / name, store.root / target
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        source.rename(goal)
        flush(goal.parent)
        flush(source.parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise not_writable(error, source) from error
    return True
