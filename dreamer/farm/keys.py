"""The keys of a farm. Who has them may dream on its machines, which means: run programs there. All others are kept out,
because both ends of each connection must show a certificate of the farm's own authority.

The authority's private key is thrown away as soon as it has signed the one certificate, so nobody can sign another."""

import datetime
import os
import stat
from pathlib import Path
from typing import NamedTuple

from dreamer.errors import Failure, Mistake
from dreamer.machine import files, here

AUTHORITY, CERTIFICATE, KEY = "ca.pem", "farm.pem", "farm.key"
VARIABLE = "DREAMER_FARM_KEYS"
_YEARS = 10  # for which they are valid
_BEFORE = datetime.timedelta(days=1)  # before now, because another machine's clock may be behind


class Keys(NamedTuple):
    """Paths of the files."""

    authority: Path
    certificate: Path
    key: Path


def usual() -> Path:
    """The folder where the keys are looked for: that of the variable DREAMER_FARM_KEYS, else one in the user's own
    configuration."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(os.environ.get("DREAMER_FARM_KEYS") or Path(base, "image-dreamer", "farm"))


def make(folder: Path) -> list[str]:
    """Make keys in a folder, which may not have any yet; returns lines that say what to do with them. Raises Mistake
    and Failure."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(os.path.lexists(folder / name) for name in (AUTHORITY, CERTIFICATE, KEY)):
            raise Mistake(f"{folder} has the keys of a farm already; name another folder")
        if any(folder.iterdir()):
            raise Mistake(f"{folder} is not empty; name a new folder for the keys")
        folder.chmod(0o700)
        for name, content in _signed().items():
            with files.replacing(folder / name) as file:
                file.write(content)
                os.fchmod(file.fileno(), 0o600)
            os.chmod(folder / name, 0o600)
    except OSError as error:
        raise Failure(f"the keys cannot be written into {folder}: {error.strerror}") from None
    return [f"{folder} has the keys of a new farm, valid for {_YEARS} years.",
            "Copy this folder to each of its machines, by a safe way such as scp: who has it can run programs on them.",
            f"Each machine finds it as ~/.config/image-dreamer/farm, or through the variable {VARIABLE}."]


def find(folder: Path | None = None) -> Keys:
    """The keys in a folder (default: usual()). Raises Mistake if they are missing, or if others may read them. Where
    root owns a file, its group may read it: so Kubernetes gives a secret to a program that is not root."""
    folder = folder or usual()
    found = Keys(folder / AUTHORITY, folder / CERTIFICATE, folder / KEY)
    for path in found:
        try:
            status = path.stat()
            with open(path, "rb"):
                pass
        except OSError as error:
            raise Mistake(f"the farm's key {path} cannot be read ({error.strerror}): copy the farm's folder of keys to "
                          f"{usual()}, or make new ones: {here.command('farm keys FOLDER')}") from None
        given_by_root = status.st_uid == 0 and os.geteuid() != 0
        if stat.S_IMODE(status.st_mode) & (0o037 if given_by_root else 0o077):
            raise Mistake(f"others can read the farm's key {path}: chmod -R go= {folder}, and make new keys if others "
                          "use this machine")
    return found


def _signed() -> dict[str, bytes]:
    """{name of a file: its content}: a new authority, and a certificate that it has signed."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise Failure(f"the package python3-cryptography is missing: {here.provision('farm')}") from None
    now = datetime.datetime.now(datetime.timezone.utc)
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "image-dreamer farm's authority")])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "image-dreamer farm")])

    def certificate(name: x509.Name, public: ec.EllipticCurvePublicKey, is_authority: bool) -> bytes:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - _BEFORE)
        made = made.not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        made = made.add_extension(x509.BasicConstraints(is_authority, 0 if is_authority else None), critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False)
        return made.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    return {AUTHORITY: certificate(issuer, authority.public_key(), True),
            CERTIFICATE: certificate(subject, key.public_key(), False),
            KEY: key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                   serialization.NoEncryption())}
