"""Numbers of each night, for `statistics` of both services."""

from datetime import UTC, datetime, timedelta

from tom_fink.simulate.observations import MJD_UNIX_EPOCH, TAI_MINUS_UTC_S, mjd_of

from . import tables
from .answers import Row
from .catalogue import Alert, Catalogue
from .parameters import Parameters


def ztf(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """A row for each night whose date begins with what is asked for, with its key and time."""
    nights = _nights(catalogue, "ztf", parameters.text("date"), 0.0)
    found = [_ztf_night(night, alerts) for night, alerts in nights.items()]
    return tables.chosen(found, parameters, ("key:key", "key:time"))


def lsst(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """A row for each night whose date begins with what is asked for; numbers come as text."""
    nights = _nights(catalogue, "lsst", parameters.text("date"), TAI_MINUS_UTC_S / 86_400)
    return tables.chosen([_lsst_night(night, alerts) for night, alerts in nights.items()], parameters)


def _nights(catalogue: Catalogue, survey: str, asked: str, ahead_days: float) -> dict[str, list[Alert]]:
    """The alerts of each date (UTC, YYYYMMDD), oldest first."""
    nights: dict[str, list[Alert]] = {}
    for alert in tables.between(catalogue.tables[survey].alerts.values(), 0, 1e6)[::-1]:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=alert.mjd - ahead_days - MJD_UNIX_EPOCH)
        night = moment.strftime("%Y%m%d")
        if night.startswith(asked):
            nights.setdefault(night, []).append(alert)
    return nights


def _ztf_night(night: str, alerts: list[Alert]) -> Row:
    rows = [alert.row for alert in alerts]
    labels = [row["d:classification"] for row in rows]
    began = mjd_of(datetime.strptime(night, "%Y%m%d").replace(tzinfo=UTC))
    numbers: Row = {
        "key:key": f"ztf_{night}",
        "key:time": round((began - MJD_UNIX_EPOCH) * 86_400),
        "basic:raw": len(rows),
        "basic:sci": len(rows),
        "basic:exposures": len({row["i:jd"] for row in rows}),
        "basic:fields": len({row["i:field"] for row in rows}),
        "basic:n_g": sum(row["i:fid"] == 1 for row in rows),
        "basic:n_r": sum(row["i:fid"] == 2 for row in rows),
    }
    # These come as text, as they are in the database.
    return numbers | {f"class:{label}": str(labels.count(label)) for label in sorted(set(labels))}


def _lsst_night(night: str, alerts: list[Alert]) -> Row:
    rows = [alert.row for alert in alerts]
    counts = {
        "alerts": len(rows),
        **{f"alerts_{band}": sum(row["r:band"] == band for row in rows) for band in "ugrizy"},
        "objects": len({alert.object_id for alert in alerts if alert.object_id}),
        "in_tns": sum(row["f:xm_tns_fullname"] is not None for row in rows),
        "visits": len({row["r:visit"] for row in rows}),
    }
    for column in ("f:is_sso", "f:is_first", "f:is_cataloged", "r:glint_trail", "r:isDipole"):
        counts[column[2:]] = sum(row[column] is True for row in rows)
    versions = ("f:fink_broker_version", "f:fink_science_version", "f:lsst_schema_version")
    texts = {f"f:{name}": str(count) for name, count in counts.items()}
    return {"f:night": night} | texts | {name: rows[-1][name] for name in versions}
