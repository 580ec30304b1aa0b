"""Certificates for the tests' broker and its clients, made anew for each run."""

import secrets
import subprocess
from pathlib import Path

from tests.services.needs import needs

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
BROKER = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
CLIENT = "extendedKeyUsage=clientAuth\n"


class Certificates:
    """PEM files in a folder: two authorities, of which the broker knows the first, and what they have signed.

    `client_key` is encrypted with `key_password`; `stranger` is signed by the authority that nobody knows.
    """

    def __init__(self, folder: Path):
        """Make all of them with openssl."""
        needs("openssl")
        self._folder = folder
        self.key_password = secrets.token_urlsafe(12)
        self.authority, authority_key = self._authority("authority")
        self.other_authority, other_key = self._authority("other")
        broker, broker_key = self._signed("broker", BROKER, self.authority, authority_key)
        self.broker = folder / "broker-both.pem"  # as Kafka takes it: the key, then the certificate
        self.broker.write_text(broker_key.read_text() + broker.read_text())
        self.client, self.client_key = self._signed(
            "client", CLIENT, self.authority, authority_key, self.key_password
        )
        self.stranger, self.stranger_key = self._signed("stranger", CLIENT, self.other_authority, other_key)

    def _authority(self, name: str) -> tuple[Path, Path]:
        certificate, key = self._paths(name)
        _openssl(
            "req", "-x509", "-nodes", *CURVE, "-days", "2", "-subj", f"/CN=tests {name}",
            "-keyout", str(key), "-out", str(certificate),
        )  # fmt: skip
        return certificate, key

    def _signed(
        self, name: str, extensions: str, authority: Path, authority_key: Path, password: str = ""
    ) -> tuple[Path, Path]:
        certificate, key = self._paths(name)
        request, wanted = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        wanted.write_text(extensions)
        encrypted = ("-passout", f"pass:{password}") if password else ("-nodes",)
        _openssl(
            "req", "-new", *encrypted, *CURVE, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request),
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority_key),
            "-CAcreateserial", "-days", "2", "-extfile", str(wanted), "-out", str(certificate),
        )  # fmt: skip
        return certificate, key

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(
            f"openssl {arguments[0]} ended with status {done.returncode}:\n{done.stderr[-2000:]}"
        )
