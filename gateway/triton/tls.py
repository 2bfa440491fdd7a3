"""TLS with Triton: its certificate is checked, and the gateway may show its own."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files; without `authorities` gRPC's own are trusted, and without a certificate none is shown."""

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Read the files once: gRPC takes any, and says of a useless one only that Triton can't be reached.

        Raises:
            ValueError: a file can't be used; says which.
        """
        if self.authorities is not None:
            try:
                ssl.create_default_context(cafile=self.authorities)
            except OSError as error:  # ssl.SSLError is one
                raise ValueError(f"triton_tls_ca {self.authorities} holds no certificates in PEM: {error}") from None
        if self.certificate is not None:
            try:
                # Without a password nobody is asked for one: a key that needs it can't be used.
                ssl.create_default_context().load_cert_chain(self.certificate, self.key, password="")
            except OSError as error:
                files = f"triton_tls_certificate {self.certificate} and triton_tls_key {self.key}"
                raise ValueError(f"{files} are no certificate in PEM and its key without a password: {error}") from None
