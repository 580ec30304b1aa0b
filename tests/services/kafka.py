"""A real Apache Kafka for the tests: one KRaft broker, from the jars that are published on Maven Central."""

import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.services.certificates import Certificates
from tests.services.needs import needs

POM = Path(__file__).with_name("kafka") / "pom.xml"
FETCH_WITHIN_S = 300
START_WITHIN_S = 90
STOP_WITHIN_S = 30

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{ssl},\
SASL_SSL://127.0.0.1:{sasl_ssl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{ssl},\
SASL_SSL://127.0.0.1:{sasl_ssl}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,\
SASL_SSL:SASL_SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
ssl.keystore.type=PEM
ssl.keystore.location={broker}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.ssl.ssl.client.auth=required
log.dirs={folder}/log
num.partitions=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=20971520
replica.fetch.max.bytes=20971520
auto.create.topics.enable=true
"""


class Kafka:
    """One broker with its data in `folder`; a topic is made at first use, with 4 partitions.

    `address` takes anybody, `sasl_address` only `user` with `password` (SCRAM-SHA-512), `sasl_ssl_address`
    the same by TLS (or PLAIN), and `ssl_address` who has a certificate of `certificates`. They stay what they
    are over `stop`, `kill` and `start`, and so does the data.
    """

    def __init__(self, folder: Path):
        """Fetch the jars if this machine does not have them, and format the folder; starts nothing."""
        needs("java")
        self.folder = folder
        self.user, self.password = "observer", secrets.token_urlsafe(12)
        ports = dict(zip(("plain", "sasl", "ssl", "sasl_ssl", "controller"), _free_ports(5), strict=True))
        self.address, self.sasl_address, self.ssl_address, self.sasl_ssl_address = (
            f"127.0.0.1:{ports[name]}" for name in ("plain", "sasl", "ssl", "sasl_ssl")
        )
        self.certificates = Certificates(folder)
        self._jars = _jars()
        self._process: subprocess.Popen | None = None
        self._properties = folder / "server.properties"
        self._properties.write_text(
            PROPERTIES.format(
                **ports,
                folder=folder,
                user=self.user,
                password=self.password,
                broker=self.certificates.broker,
                authority=self.certificates.authority,
            )
        )
        _run(
            *self._java("kafka.tools.StorageTool"), "format", "-c", str(self._properties),
            "-t", "tom-fink-tests-AAAAAAA", "--add-scram", f"SCRAM-SHA-512=[name={self.user},password={self.password}]",
        )  # fmt: skip

    def __enter__(self) -> "Kafka":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self) -> None:
        """Start the broker and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java("kafka.Kafka"), str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the broker
            )
        admin = AdminClient(
            {
                "bootstrap.servers": self.address,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
                "error_cb": lambda error: None,
            }
        )
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            try:
                admin.list_topics(timeout=1)
                return
            except KafkaException as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    tail = self._log.read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"Kafka does not answer at {self.address}:\n{tail}") from error

    def stop(self) -> None:
        """Stop in an orderly way, or at once if that takes too long. A broker that does not run is no fault."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Stop at once (SIGKILL), as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start again, on the same data."""
        self.stop()
        self.start()

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _java(self, main_class: str) -> list[str]:
        return [
            "java", "-Xms128m", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", f"{self._jars}/*", main_class,
        ]  # fmt: skip


def _jars() -> Path:
    """The folder of the jars, fetched if it is not there.

    Its name changes with pom.xml, and it gets that name when it is whole.
    """
    pom = POM.read_bytes()
    version = re.search(r"<kafka.version>(.+?)<", pom.decode())[1]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jars = cache / f"tom-fink-kafka-{version}-{hashlib.sha256(pom).hexdigest()[:8]}"
    if jars.is_dir():
        return jars
    needs("mvn")
    cache.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=cache, prefix=f"{jars.name}."))
    try:
        _run("mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={half}")
        half.rename(jars)
    except OSError:
        if not jars.is_dir():  # otherwise another run was faster
            raise
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return jars


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_WITHIN_S, check=False)
    if done.returncode:
        output = (done.stdout + done.stderr)[-3000:]
        raise RuntimeError(f"{Path(command[0]).name} ended with status {done.returncode}:\n{output}")


def _free_ports(number: int) -> list[int]:
    """Ports of the loopback address that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
