"""Histograms in SQL: shares of rows in equal bins of [0, 1], empty bins included."""

from data_store.report.plots import BINS


def unit_histogram(table: str, column: str, *, name: str = "", by: str = "teacher") -> str:
    """Shares of the values of a column in [0, 1], in `BINS` bins named by their middles."""
    return f"""
    with binned as (
        select {by}, least(floor({column} * {BINS}), {BINS - 1})::int as bin, count(*) as images
        from {table} where {column} between 0 and 1 group by all
    ),
    every as (select {by}, bin from (select distinct {by} from binned), range({BINS}) as b(bin))
    select {by}, (bin + 0.5)::double / {BINS} as {name or column},
        coalesce(images, 0) as images,
        coalesce(images, 0) / sum(coalesce(images, 0)) over (partition by {by}) as share
    from every left join binned using ({by.replace(" ", "")}, bin)
    order by {by}, bin
    """
