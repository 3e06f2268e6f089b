"""Options that several commands share."""

from typing import Annotated

import typer

StoreOption = Annotated[
    str,
    typer.Option("--store", envvar="LEAF_STORE", help="Folder or s3:// address of the store."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, how long and how large; stop.")
]
