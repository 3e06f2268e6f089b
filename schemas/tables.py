"""All tables of a store, by name."""

import pyarrow as pa

from schemas.embeddings import EMBEDDINGS
from schemas.fields import table_name
from schemas.images import IMAGES
from schemas.mos import MOS
from schemas.pairs import PAIRS
from schemas.points import POINTS
from schemas.predictions import PREDICTIONS
from schemas.probes import PROBES
from schemas.rejections import REJECTIONS

TABLES: dict[str, pa.Schema] = {
    table_name(schema): schema
    for schema in (IMAGES, POINTS, PAIRS, PROBES, EMBEDDINGS, MOS, PREDICTIONS, REJECTIONS)
}

BY_TEACHER = ("points", "pairs", "probes", "embeddings")
"""Tables whose shards lie in one folder per teacher."""
