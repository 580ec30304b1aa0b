"""What tests of streams have in common: messages sent, readers run, offsets looked at."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, TopicPartition
from django.db import connection

from tom_fink.conf import cutout_file
from tom_fink.decoding.decode import decode_one

TOPIC = "fink_sn_candidates_ztf"
DEADLINE_S = 60


def committed(options: dict, topic: str) -> int:
    """How many messages of a topic the group has committed."""
    consumer = Consumer({"bootstrap.servers": options["URL"], "group.id": options["GROUP_ID"]})
    partitions = [
        TopicPartition(topic, p) for p in consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ]
    total = sum(max(p.offset, 0) for p in consumer.committed(partitions, timeout=10))
    consumer.close()
    return total


def of_topic(messages, topic=TOPIC):
    return [message for message in messages if message.topic == topic]


def ids(messages) -> set[str]:
    return {str(decode_one(message)["candid"]) for message in messages}


@contextmanager
def readstreams(**environment) -> Iterator[subprocess.Popen]:
    """The command in a process of its own, on this test's database."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        address = f"sqlite:///{database['NAME']}"
    else:
        host = database["OPTIONS"].get("host", "")
        address = f"postgres://{database['USER']}:@/{database['NAME']}?host={host}"
    with subprocess.Popen(
        [sys.executable, "manage.py", "readstreams"],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.both_surveys",
            "DATABASE_URL": address,
            "FINK_CUTOUTS_FILE": str(cutout_file().path),
            "HOME": "/nonexistent",
        }
        | environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(DEADLINE_S, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def read_until(process: subprocess.Popen, text: str) -> str:
    """What the process says up to the line with `text`."""
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    pytest.fail(f"it ended without saying {text!r}:\n{said}")


def wait_until(condition, what: str = "") -> None:
    """Until `condition` holds; fails after a minute, and says for what it waited."""
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited a minute for {what or condition}"
        pause.wait(0.1)
