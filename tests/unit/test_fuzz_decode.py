"""Damaged messages, seeded: each one is an alert or has an error, and the decoder goes on."""

from contextlib import closing

import pytest

from tests.mutations import mutations
from tom_fink.decoding.decode import MESSAGE
from tom_fink.decoding.decoder import Decoder

NUMBER = 2_000
BATCH = 200


@pytest.fixture(scope="module")
def decoder():
    with closing(Decoder()) as made:
        yield made


def test_a_mutation_is_the_same_for_the_same_seed(simulated_messages):
    first, again, other = (list(mutations(simulated_messages, 50, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert all(made not in simulated_messages for made in first[:5])


@pytest.mark.parametrize("as_records", [False, True])
def test_every_damaged_message_ends_in_one_place(simulated_messages, decoder, as_records):
    damaged = list(mutations(simulated_messages, NUMBER, seed=4 + as_records))
    ends = {"alerts": 0, "records": 0, "errors": 0}
    for start in range(0, NUMBER, BATCH):
        batch = damaged[start : start + BATCH]
        read = decoder.read(batch, range(0, BATCH, 2) if as_records else ())
        alerts = read.tidy.alerts[MESSAGE].to_list()
        assert sorted([*alerts, *read.records, *read.errors]) == list(range(BATCH))
        assert set(read.tidy.detections[MESSAGE]) <= set(alerts)
        assert all(str(error) for error in read.errors.values())
        for name, found in (("alerts", alerts), ("records", read.records), ("errors", read.errors)):
            ends[name] += len(found)
    assert ends["errors"] > NUMBER / 2, "most of these are damaged beyond reading"
    assert ends["alerts"] > NUMBER / 50, "a flipped bit of a cutout leaves an alert"
    assert bool(ends["records"]) == as_records
