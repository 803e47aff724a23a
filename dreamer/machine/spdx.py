"""Lists what a file or image of a release was made of, as an SPDX document: $ python3 -m dreamer.machine.spdx NAME
VERSION <LIST. Each line of LIST has a package's name, version and architecture, as dpkg-query prints them."""

import hashlib
import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import quote


class Package(NamedTuple):
    """A package; its architecture is "source" if it is Caffe's source rather than one of the distribution's."""

    name: str
    version: str
    architecture: str

    @property
    def place(self) -> str:
        """Where it comes from, as a package URL."""
        if self.architecture == "source":
            return f"pkg:github/bvlc/{self.name}@{self.version}"
        return f"pkg:deb/debian/{quote(self.name)}@{quote(self.version)}?arch={self.architecture}"


def packages(lines: Iterable[str]) -> list[Package]:
    """The packages in lines of dpkg-query, which writes "name:architecture" for some.

    Raises ValueError if a line is none of its lines."""
    found = []
    for line in filter(str.strip, lines):
        name, version, architecture = line.rstrip("\n").split("\t")
        found.append(Package(name.partition(":")[0], version, architecture))
    return found


def document(name: str, version: str, parts: Iterable[Package], made: datetime) -> dict[str, Any]:
    """An SPDX document, to be written as JSON.

    name     of the file or image
    version  of the release that it belongs to
    parts    the packages in it, or that it needs
    made     the document's own time, in UTC"""
    whole = "SPDXRef-whole"
    entries = [_entry(whole, name, version)]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", whole)]
    for part in parts:
        number = re.sub(r"[^A-Za-z0-9.-]", "-", f"SPDXRef-{len(entries)}-{part.name}")
        place = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": part.place}
        entries.append(_entry(number, part.name, part.version) | {"externalRefs": [place]})
        relations.append((whole, "DEPENDS_ON", number))
    unique = hashlib.sha256(json.dumps([name, version, entries]).encode()).hexdigest()[:32]
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
            "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{unique}",
            "creationInfo": {"created": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
                             "creators": [f"Tool: image-dreamer-{version}"]},
            "packages": entries,
            "relationships": [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
                              for one, kind, other in relations]}


def _entry(number: str, name: str, version: str) -> dict[str, Any]:
    """What an SPDX document says about a package whose files and licence it leaves out."""
    unsaid = dict.fromkeys(("downloadLocation", "licenseConcluded", "licenseDeclared", "copyrightText"), "NOASSERTION")
    return {"SPDXID": number, "name": name, "versionInfo": version, "filesAnalyzed": False} | unsaid


if __name__ == "__main__":
    name, version = sys.argv[1:]
    json.dump(document(name, version, packages(sys.stdin), datetime.now(timezone.utc)), sys.stdout, indent=1)
    print()
