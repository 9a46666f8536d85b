"""The certificate authorities of AWS's endpoints, out of all that botocore trusts.

The first TLS connection of a process parses every one of them: some 140 take longer than the
handshake. AWS's own endpoints have certificates of Amazon Trust Services, whose keys Starfield's
older root has signed, too (https://www.amazontrust.com/repository/); in China they are DigiCert's.
AWS_CA_BUNDLE names another file: for a proxy with an authority of its own, say.
"""

from __future__ import annotations

import re
import warnings
from typing import Final

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

PATH: Final = "botocore/cacert.pem"

_ORGANIZATIONS: Final = ("Amazon", "DigiCert", "Starfield")
_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL
)


def of_amazon(bundle: bytes) -> bytes:
    """Give the authorities that AWS's endpoints need, of a bundle in PEM."""
    found: dict[str, list[bytes]] = {name: [] for name in _ORGANIZATIONS}
    for pem in _CERTIFICATE.findall(bundle):
        for name in _ORGANIZATIONS:
            if _organization(pem).startswith(name):
                found[name].append(pem)
    if missing := [name for name, certificates in found.items() if not certificates]:
        raise ValueError(f"{PATH} has no authority of {', '.join(missing)}")
    return b"".join(pem for certificates in found.values() for pem in certificates)


def _organization(pem: bytes) -> str:
    with warnings.catch_warnings():
        # Some old authorities, none of them of these, break a rule for serial numbers.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        subject = x509.load_pem_x509_certificate(pem).subject
    attributes = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(attributes[0].value) if attributes else ""
