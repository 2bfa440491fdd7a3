"""TLS to Triton: its certificate is checked, and the gateway shows its own.

With a fake, since the launcher starts Triton for this machine only, without TLS.
"""

import subprocess
from pathlib import Path

import grpc
import pytest

from tests.gateway.support.fake_triton import answer, running_fake_triton
from tests.gateway.support.gateway_process import running_gateway

PARTS = (("certificate", "pem"), ("key", "key"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a certificate it signed for 127.0.0.1, for localhost and for the gateway."""
    home = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=home, check=True, capture_output=True)

    new_key = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    for name in ("triton", "gateway"):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (home / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    return home


def test_tls_both_ways(certificates: Path, repository: Path) -> None:
    def read(name: str) -> bytes:
        return (certificates / name).read_bytes()

    credentials = grpc.ssl_server_credentials(
        [(read("triton.key"), read("triton.pem"))],
        root_certificates=read("ca.pem"),
        require_client_auth=True,
    )
    trust = ["--triton-tls=true", f"--triton-tls-ca={certificates / 'ca.pem'}"]
    own = [f"--triton-tls-{part}={certificates / f'gateway.{suffix}'}" for part, suffix in PARTS]
    with running_fake_triton(credentials) as fake:
        fake.infer = lambda request, _: answer(request)
        with running_gateway(repository, fake.address, *trust, *own) as gateway:
            gateway.wait_until_ready()
            with gateway.client() as client:
                assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200
        # The certificate is for the name too, whatever address it has.
        name = fake.address.replace("127.0.0.1", "localhost")
        with running_gateway(repository, name, *trust, *own) as gateway:
            gateway.wait_until_ready()
        # No certificate of its own; an authority it doesn't know; no TLS at all.
        for wrong in (trust, ["--triton-tls=true", *own], []):
            with running_gateway(repository, fake.address, *wrong) as gateway, gateway.client() as client:
                assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 503
