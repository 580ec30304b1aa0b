"""What the simulated services say of an object is what the stream sends of it: through the client, over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tom_fink.api import lsst, ztf
from tom_fink.api.answers import cutout
from tom_fink.api.checks import MAX_IDS
from tom_fink.api.client import FinkClient
from tom_fink.api.options import ApiOptions
from tom_fink.decoding.decode import MESSAGE, decode_one, frame_of_records
from tom_fink.frames import DETECTIONS
from tom_fink.simulate import simulated_alerts
from tom_fink.simulate.service import Catalogue, SimulatedService, simulated_service
from tom_fink.stamps import fits_bytes
from tom_fink.surveys import lsst as lsst_survey
from tom_fink.surveys import normalise
from tom_fink.surveys import ztf as ztf_survey

pytestmark = pytest.mark.usefixtures("no_proxy")

SEED, START, NIGHTS = 11, datetime(2026, 3, 22, 4, tzinfo=UTC), 2
POINT = [name for name in DETECTIONS if name != MESSAGE]
# What the API gives too. It has ten decimals for a position, and no clock of the broker.
SAME = [
    "alert_id", "object_id", "object_survey", "body", "observed_at", "band", "mag_ab", "mag_err", "flux_njy",
    "flux_err_njy", "is_positive", "fink_class", "url", "problem",
]  # fmt: skip


@pytest.fixture(scope="module")
def sent() -> dict[str, list[dict]]:
    """Each alert of the stream once, by survey, over all nights that the service knows."""
    end = START + timedelta(days=NIGHTS - 0.5)
    found: dict[str, dict[int, dict]] = {"ztf": {}, "lsst": {}}
    for alert in simulated_alerts(SEED, START):
        if alert.observed_at > end:
            break
        if alert.survey in found:
            found[alert.survey][id(alert.alert)] = alert.alert
    return {survey: list(alerts.values()) for survey, alerts in found.items()}


@pytest.fixture(scope="module")
def service():
    with simulated_service(SEED, START, NIGHTS) as running:
        yield running


@pytest.fixture(scope="module")
def fink(service):
    with FinkClient(ApiOptions(service.url("ztf"), service.url("lsst"), timeout_s=60)) as client:
        yield client


def streamed(alerts: list[dict], object_ids: list[str]) -> pl.DataFrame:
    """The points that a stream brings: those of all alerts, each once, with the id of their object."""
    tidy, errors = normalise([frame_of_records(alerts).with_row_index(MESSAGE)])
    assert not errors
    owners = pl.DataFrame(
        {MESSAGE: range(len(object_ids)), "owner": object_ids}, schema_overrides={MESSAGE: pl.UInt32}
    )
    return tidy.detections.join(owners, on=MESSAGE).select("owner", *POINT).unique()


def asked(fink, make_query, points, owner: str, ids: list[str]) -> pl.DataFrame:
    """The points that the API gives for `ids`, with the id of their object."""
    found = []
    for begin in range(0, len(ids), MAX_IDS):
        frame = fink.get(make_query(ids[begin : begin + MAX_IDS])).frame
        owners = frame.select(MESSAGE, pl.col(owner).alias("owner"))
        found.append(points(frame).join(owners, on=MESSAGE).select("owner", *POINT))
    return pl.concat(found)


def in_the_time_of(points: pl.DataFrame, stream: pl.DataFrame) -> pl.DataFrame:
    """`points` without those before an object's first and after its last in the stream.

    The stream does not send each alert, and so tells less.
    """
    spans = stream.group_by("owner").agg(
        pl.col("observed_at").min().alias("first"), pl.col("observed_at").max().alias("last")
    )
    joined = points.join(spans, on="owner")
    return joined.filter(pl.col("observed_at").is_between("first", "last")).drop("first", "last")


def same_points(stream: pl.DataFrame, rest: pl.DataFrame) -> None:
    order = ["owner", *POINT]
    assert rest.height == rest.unique().height
    assert_frame_equal(stream.sort(order), in_the_time_of(rest, stream).sort(order), check_exact=True)


def test_light_curves_of_all_ztf_objects(sent, fink):
    ids = [alert["objectId"] for alert in sent["ztf"]]
    stream = streamed(sent["ztf"], ids)
    rest = asked(fink, ztf.light_curve, ztf_survey.points, "objectId", list(dict.fromkeys(ids)))
    assert set(stream["kind"]) == {"detection", "limit"}
    assert stream["owner"].n_unique() == len(set(ids)) > 100
    same_points(stream, rest)


def test_light_curves_of_all_rubin_objects(sent, fink):
    alerts = [alert for alert in sent["lsst"] if alert["diaSource"]["diaObjectId"]]
    ids = [str(alert["diaSource"]["diaObjectId"]) for alert in alerts]
    stream, unique = streamed(alerts, ids), list(dict.fromkeys(ids))
    rest = asked(
        fink, lsst.light_curve, lambda rows: lsst_survey.points(rows, "detection"), "diaObjectId", unique
    )
    same_points(stream.filter(pl.col("kind") == "detection"), rest)
    forced = asked(fink, lsst.forced, lambda rows: lsst_survey.points(rows, "forced"), "diaObjectId", unique)
    # Fink has no forced photometry of an object that was seen once.
    seen_once = rest.group_by("owner").len().filter(pl.col("len") == 1)["owner"].to_list()
    assert not set(seen_once) & set(forced["owner"])
    same_points(stream.filter(pl.col("kind") == "forced", ~pl.col("owner").is_in(seen_once)), forced)
    assert stream["owner"].n_unique() == len(unique) > 10


def tidy_alerts(frame: pl.DataFrame) -> pl.DataFrame:
    tidy, errors = normalise([frame])
    assert not errors
    return tidy.alerts.sort("alert_id")


def same_alerts(stream: pl.DataFrame, rest: pl.DataFrame, only_in_stream: set[str] = frozenset()) -> None:
    """Equal alerts; of Fink's values those apart that the API does not give, and the class that it adds."""
    rest = rest.filter(pl.col("alert_id").is_in(stream["alert_id"].to_list()))
    assert_frame_equal(stream.select(SAME), rest.select(SAME), check_exact=True)
    assert_frame_equal(stream.select("ra_deg", "dec_deg"), rest.select("ra_deg", "dec_deg"), abs_tol=1e-10)
    for here, there in zip(stream["fink_values"], rest["fink_values"], strict=True):
        sent, served = json.loads(here), json.loads(there)
        served.pop("finkclass", None)
        assert served == pytest.approx(
            {name: sent[name] for name in sent if name not in only_in_stream}, abs=1e-10
        )


def test_all_ztf_alerts(sent, fink):
    stream = tidy_alerts(frame_of_records(sent["ztf"]).with_row_index(MESSAGE))
    ids = stream["object_id"].unique().to_list()
    found = [
        fink.get(ztf.alerts(ids[begin : begin + MAX_IDS])).frame for begin in range(0, len(ids), MAX_IDS)
    ]
    rest = pl.concat([tidy_alerts(frame) for frame in found]).sort("alert_id")
    same_alerts(stream, rest)


def test_all_rubin_alerts_of_objects(sent, fink):
    alerts = [alert for alert in sent["lsst"] if not alert["pred"]["is_sso"]]
    stream = tidy_alerts(frame_of_records(alerts).with_row_index(MESSAGE))
    rest = tidy_alerts(fink.get(lsst.alerts(stream["object_id"].unique().to_list())).frame)
    # Of diaObject Fink serves nothing beside a detection.
    same_alerts(stream, rest, {"nDiaSources"})


def test_all_rubin_alerts_of_bodies(sent, fink):
    alerts = [alert for alert in sent["lsst"] if alert["pred"]["is_sso"]]
    stream = tidy_alerts(frame_of_records(alerts).with_row_index(MESSAGE))
    bodies = stream["body"].unique().to_list()
    rest = pl.concat([tidy_alerts(fink.get(lsst.body(body)).frame) for body in bodies]).sort("alert_id")
    same_alerts(stream, rest)
    kept = rest.filter(pl.col("alert_id").is_in(stream["alert_id"].to_list()))
    assert kept["body_aliases"].to_list() == stream["body_aliases"].to_list()
    assert kept["orbit"].null_count() == 0


def test_all_bodies_of_ztf(sent, fink):
    alerts = [alert for alert in sent["ztf"] if alert["roid"] == 3]
    names = {alert["candidate"]["ssnamenr"] for alert in alerts}
    assert len(names) == 5
    for name in names:
        found = fink.get(ztf.body(name)).frame
        assert set(found["objectId"]) == {
            alert["objectId"] for alert in alerts if alert["candidate"]["ssnamenr"] == name
        }
        assert set(found["ssnamenr"]) == {name}


def test_cutouts(sent, fink):
    for alert in sent["ztf"][::100]:
        for kind in ztf.CUTOUT_KINDS:
            query = ztf.cutout(alert["objectId"], kind, str(alert["candid"]))
            assert fink.get(query, cutout) == fits_bytes(alert[f"cutout{kind}"]["stampData"])
    for alert in sent["lsst"][::100]:
        for kind in ztf.CUTOUT_KINDS:
            assert fink.get(lsst.cutout(str(alert["diaSourceId"]), kind), cutout) == alert[f"cutout{kind}"]


def test_tags_find_what_the_stream_sent(sent, fink, service):
    for tag in ("hostless_candidate", "sn_near_galaxy_candidate"):
        topic = f"fink_{tag}_lsst"
        wanted = {
            str(alert.alert["diaSourceId"])
            for alert in simulated_alerts(SEED, START, len(sent["lsst"]) + len(sent["ztf"]))
            if alert.topic == topic
        }
        found = set(fink.get(lsst.latest(topic, 1000)).frame["diaSourceId"])
        assert len(wanted) > 20
        assert wanted <= found


def test_real_alerts(real_messages):
    """A catalogue of real alerts serves what the stream brings of them."""
    alerts = [decode_one(one) for one in real_messages("ztf-2026-03.avro", "lsst-2026-03.avro")]
    known = Catalogue()
    for alert in alerts:
        known.add("ztf" if "candidate" in alert else "lsst", alert)
    of_ztf = [alert for alert in alerts if "candidate" in alert]
    of_rubin = [alert for alert in alerts if alert.get("diaSource", {}).get("diaObjectId")]
    (body,) = [alert for alert in alerts if alert.get("pred", {}).get("is_sso")]
    with (
        SimulatedService(known) as running,
        FinkClient(ApiOptions(running.url("ztf"), running.url("lsst"), timeout_s=60)) as fink,
    ):
        ids = [alert["objectId"] for alert in of_ztf]
        same_points(streamed(of_ztf, ids), asked(fink, ztf.light_curve, ztf_survey.points, "objectId", ids))
        ids = [str(alert["diaSource"]["diaObjectId"]) for alert in of_rubin]
        stream = streamed(of_rubin, ids)
        for kind, query in (("detection", lsst.light_curve), ("forced", lsst.forced)):
            rest = asked(fink, query, partial(lsst_survey.points, kind=kind), "diaObjectId", ids)
            same_points(stream.filter(pl.col("kind") == kind), rest)
        found = tidy_alerts(fink.get(lsst.body(body["mpc_orbits"]["designation"])).frame)
        same_alerts(tidy_alerts(frame_of_records([body]).with_row_index(MESSAGE)), found)
        cone = ztf.around(of_ztf[0]["candidate"]["ra"], of_ztf[0]["candidate"]["dec"], 1)
        assert fink.get(cone).frame["objectId"].to_list() == [of_ztf[0]["objectId"]]


def test_an_alert_of_an_old_schema(real_messages):
    """It has no column of Fink's."""
    alert = decode_one(real_messages("ZTF19acihgng.avro")[0])
    known = Catalogue()
    known.add("ztf", alert)
    with (
        SimulatedService(known) as running,
        FinkClient(ApiOptions(running.url("ztf"), running.url("lsst"), timeout_s=60)) as fink,
    ):
        found = fink.get(ztf.latest("Unknown")).frame
        assert found["objectId"].to_list() == [alert["objectId"]]
        assert fink.get(ztf.alerts(alert["objectId"])).frame["candid"].to_list()[0] == str(alert["candid"])


def test_the_service_knows_objects_that_the_stream_does_not_bring(sent, service):
    streamed_ztf = {alert["objectId"] for alert in sent["ztf"]}
    streamed_lsst = {str(alert["diaSource"]["diaObjectId"]) for alert in sent["lsst"]}
    tables = service.catalogue.tables
    assert len(tables["ztf"].last_of_objects().keys() - streamed_ztf) > 20
    assert len(tables["lsst"].last_of_objects().keys() - streamed_lsst) > 10
