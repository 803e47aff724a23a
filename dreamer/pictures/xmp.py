"""XMP: metadata as XML (ISO 16684-1), such as title, rating and keywords; and what of it applies to a dream.

A packet is read with expat, piece by piece, and written anew. A document type is refused, and with it all entities.
Left out are images, what describes images that are not in the dream, how the pixels were stored, and places.
"""

import hashlib
import html
import re
import struct
from dataclasses import dataclass, field
from xml.parsers import expat

from dreamer.pictures import embedded

LONGEST = 16 << 20  # bytes of a packet: expat reads these in a third of a second
IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"  # before a packet
MORE_IN_JPEG = b"http://ns.adobe.com/xmp/extension/\0"  # before a part of an extended packet
_PART = 65000  # bytes of such a part
# elements inside each other; prefixes at one place; elements in all, which take a second: more is an attack
_DEEPEST, _NAMES, _ELEMENTS = 100, 200, 200_000

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NOTE = "http://ns.adobe.com/xmp/note/"
_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_PHOTOSHOP, _BASIC = "http://ns.adobe.com/photoshop/1.0/", "http://ns.adobe.com/xap/1.0/"
# namespaces that do not apply to a dream, and what is lost with each
_NEVER = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": "gain map", "http://ns.apple.com/HDRGainMap/1.0/": "gain map",
    "http://ns.google.com/photos/1.0/depthmap/": "depth map", "http://ns.google.com/photos/dd/1.0/device/": "depth map",
    "http://ns.google.com/photos/1.0/audio/": "audio note", "http://ns.google.com/photos/1.0/image/": "second image",
    "http://ns.google.com/photos/1.0/camera/": "", "http://ns.google.com/photos/1.0/container/": "",
    "http://ns.google.com/photos/1.0/container/item/": "", "http://ns.adobe.com/xap/1.0/g/img/": "", _NOTE: "",
    "urn:image-dreamer:": ""}
_STORED = {(_BASIC, "Thumbnails"), (_PHOTOSHOP, "ICCProfile"), (_PHOTOSHOP, "ColorMode"),
           *((_EXIF, name) for name in ("PixelXDimension", "PixelYDimension", "ColorSpace", "MakerNote",
                                        "ComponentsConfiguration", "CompressedBitsPerPixel")),
           *((_TIFF, name) for name in (
               "Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation",
               "SamplesPerPixel", "PlanarConfiguration", "YCbCrSubSampling", "YCbCrPositioning", "YCbCrCoefficients",
               "ReferenceBlackWhite", "WhitePoint", "PrimaryChromaticities", "TransferFunction", "NativeDigest"))}
PLACE = re.compile(r"gps|latitude|longitude|altitude|^location|^sub-?location|^country|^city$|^state$|^province"
                   r"|^worldregion$", re.IGNORECASE)  # names of properties that say where

# sizes of a panorama in pixels, as properties
_PANORAMA = re.compile(r"(<(?:[\w-]+:)?(?:(?:CroppedArea|FullPano)(?:Image)?(?:Width|Height|Left|Top)Pixels"
                       r"|LargestValidInteriorRect(?:Width|Height|Left|Top))>)(\d{1,9})<")

_PACKET = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">
%s
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass
class Description:
    """Properties, each as XML, and the namespaces of their prefixes."""

    names: dict[str, str]
    properties: list[str]


@dataclass
class Xmp:
    """XMP as read, without what does not apply to a dream.

    about   the name of the resource that it describes; mostly empty
    lost    what was left out, in words
    more    the name of the extended packet that belongs to it, if there is one"""

    descriptions: list[Description] = field(default_factory=list)
    about: str = ""
    lost: set[str] = field(default_factory=set)
    more: str = ""

    def packet(self, *others: Description) -> bytes:
        """The packet, with `others` at its beginning."""
        return (_PACKET % "\n".join(self._written(each) for each in [*others, *self.descriptions])).encode()

    def scale(self, factor: float) -> None:
        """Adapt a panorama's sizes to a picture that is scaled by `factor`."""
        for each in self.descriptions:
            each.properties = [_PANORAMA.sub(lambda found: f"{found[1]}{round(int(found[2]) * factor)}<", text)
                               for text in each.properties]

    def split(self, limit: int, *others: Description) -> tuple[bytes, bytes]:
        """(packet of at most `limit` bytes with `others` at its beginning, extended packet with the rest or b"")."""
        whole = self.packet(*others)
        if len(whole) <= limit:
            return whole, b""
        left = limit - len(Xmp(about=self.about).packet(*others)) - 400  # for the name of the rest
        sizes = [(len(text.encode()), number, place) for number, each in enumerate(self.descriptions)
                 for place, text in enumerate(each.properties)]
        begun: set[int] = set()
        taken: set[tuple[int, int]] = set()
        for size, number, place in sorted(sizes):  # the shortest stay, because not all programs read the rest
            if number not in begun:
                size += len(self._written(Description(self.descriptions[number].names, [])).encode()) + 1
            if size > left:
                break
            left -= size
            begun.add(number)
            taken.add((number, place))
        here, rest = self._part(taken, True), self._part(taken, False)
        extended = rest.packet()
        extended = extended[extended.index(b"<x:"):extended.rindex(b"<?")]
        digest = f"<xmpNote:HasExtendedXMP>{_digest(extended)}</xmpNote:HasExtendedXMP>"
        name = Description({"xmpNote": _NOTE}, [digest])
        return here.packet(*others, name), extended

    def _part(self, places: set[tuple[int, int]], inside: bool) -> "Xmp":
        """The Xmp of the properties in `places`, (number of the description, of the property), or of all others."""
        part = Xmp(about=self.about)
        for number, each in enumerate(self.descriptions):
            kept = [text for place, text in enumerate(each.properties) if ((number, place) in places) == inside]
            if kept:
                part.descriptions.append(Description(each.names, kept))
        return part

    def _written(self, each: Description) -> str:
        names = "".join(f' xmlns{":" if prefix else ""}{prefix}="{_quoted(uri)}"'
                        for prefix, uri in each.names.items() if prefix != "rdf")
        return f'<rdf:Description rdf:about="{_quoted(self.about)}"{names}>{"".join(each.properties)}</rdf:Description>'


def parts(extended: bytes) -> list[bytes]:
    """The segments in which a JPEG holds an extended packet."""
    head = MORE_IN_JPEG + _digest(extended).encode()
    return [head + struct.pack(">II", len(extended), at) + extended[at:at + _PART]
            for at in range(0, len(extended), _PART)]


def joined(segments: list[bytes], name: str) -> bytes:
    """The extended packet called `name` among a JPEG's segments. Raises ValueError if it is not whole."""
    head, found, total = MORE_IN_JPEG + name.encode(), {}, -1
    for segment in segments:
        if segment.startswith(head) and len(segment) >= len(head) + 8:
            total, at = struct.unpack_from(">II", segment, len(head))
            found[at] = segment[len(head) + 8:]
    data = b"".join(found[at] for at in sorted(found))
    if len(data) != total:
        raise ValueError("the extended XMP is not whole")
    return data


def read(packet: bytes, keep_location: bool = False) -> Xmp:
    """The Xmp in a packet. Raises ValueError if it is damaged, too long or hostile."""
    if len(packet) > LONGEST:
        raise ValueError("too long")
    text = _decoded(packet)
    start, end = text.find("<"), text.rfind(">")  # some writers add zeros
    reader = _Reader(keep_location)
    try:
        reader.parser.Parse(text[max(0, start):end + 1], True)
    except expat.ExpatError as error:
        raise ValueError(f"damaged: {error}") from None
    return reader.found


def _digest(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().upper()


def _decoded(packet: bytes) -> str:
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
                           (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be")):
        if packet.startswith(mark):
            return packet.decode(encoding)
    return packet.decode()


def _quoted(text: str) -> str:
    return html.escape(text).replace("\n", "&#xA;").replace("\r", "&#xD;").replace("\t", "&#x9;")


def _clean(text: str) -> str:
    """The text of a property; "" if it holds an image."""
    return "" if len(text) > 60 and embedded.in_text(text.encode()) else text


class _Reader:
    """Takes what expat finds, and builds an Xmp in `found`."""

    def __init__(self, keep_location: bool) -> None:
        self.found = Xmp()
        self.parser = expat.ParserCreate()
        self.parser.ordered_attributes = True
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._keep_location = keep_location
        self._scopes: list[dict[str, str]] = [{"xml": "http://www.w3.org/XML/1998/namespace"}]
        self._rdf = 0  # depth of the RDF element; 0 before it
        self._skipped = 0  # depth of the element that is left out; 0 if none is
        self._outer: dict[str, str] = {}  # the namespaces where the description begins
        self._pieces: list[str] = []  # of the property that is being read
        self._said: list[str] = []  # text since the last tag
        self._size = self._count = 0

    def _refuse(self, *_: object) -> None:
        raise ValueError("it has a document type")

    def _resolved(self, name: str, attribute: bool = False) -> tuple[str, str]:
        """(namespace, local name) of a name with a prefix."""
        prefix, colon, local = name.rpartition(":")
        if attribute and not colon:
            return _RDF if local == "about" else "", local
        if prefix not in self._scopes[-1]:
            if colon:
                raise ValueError(f"unknown prefix {prefix}")
            return "", local
        return self._scopes[-1][prefix], local

    def _allowed(self, name: str, attribute: bool = False) -> bool:
        space, local = self._resolved(name, attribute)
        if space in _NEVER or name == "dreamer:recipe":
            if lost := _NEVER.get(space):
                self.found.lost.add(lost)
            if local.startswith(("MotionPhoto", "MicroVideo")):
                self.found.lost.add("video")
            return False
        return (space, local) not in _STORED and (self._keep_location or not PLACE.search(local))

    def _used(self, name: str) -> None:
        prefix = name.rpartition(":")[0]
        if prefix in self._outer and prefix != "xml":
            self.found.descriptions[-1].names[prefix] = self._outer[prefix]

    def _start(self, name: str, pairs: list[str]) -> None:
        attributes = dict(zip(pairs[::2], pairs[1::2], strict=True))
        new = {key[6:]: value for key, value in attributes.items() if key == "xmlns" or key.startswith("xmlns:")}
        scope = self._scopes[-1] | new if new else self._scopes[-1]
        self._count += 1
        if self._count > _ELEMENTS or len(scope) > _NAMES or len(self._scopes) > _DEEPEST:
            raise ValueError("too many names or elements")
        if scope.get("rdf", _RDF) != _RDF:
            raise ValueError("the prefix rdf has another meaning")
        self._scopes.append(scope)
        depth = len(self._scopes) - 1
        self._flush()
        if self._skipped:
            return
        if not self._rdf:
            self._rdf = depth if self._resolved(name) == (_RDF, "RDF") else 0
        elif depth == self._rdf + 1:
            if self._resolved(name) == (_RDF, "Description"):
                self._describe(attributes)
            else:
                self._skipped = depth
        elif depth > self._rdf and self._allowed(name):
            self._open(name, attributes)
        else:
            self._skipped = depth

    def _describe(self, attributes: dict[str, str]) -> None:
        """A description begins: its attributes are properties too."""
        self._outer = self._scopes[-1]
        self.found.descriptions.append(Description({}, []))
        for name, value in attributes.items():
            if name.startswith("xmlns"):
                continue
            space, local = self._resolved(name, attribute=True)
            if (space, local) == (_RDF, "about"):
                self.found.about = self.found.about or value
            elif (space, local) == (_NOTE, "HasExtendedXMP"):
                self.found.more = value
            elif space and space != _RDF and not space.startswith("http://www.w3.org/XML/") and self._allowed(name):
                self._used(name)
                self._keep(f"<{name}>{html.escape(_clean(value))}</{name}>")

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        self._used(name)
        self._pieces.append("<" + name)
        for key, value in attributes.items():
            if key != "xmlns" and not key.startswith("xmlns:"):
                if not self._allowed(key, attribute=True):
                    continue
                self._used(key)
            self._pieces.append(f' {key}="{_quoted(_clean(value))}"')
        self._pieces.append(">")

    def _text(self, text: str) -> None:
        self._said.append(text)

    def _flush(self) -> None:
        """Put the text since the last tag into the property."""
        if self._pieces and not self._skipped and self._said:
            self._pieces.append(html.escape(_clean("".join(self._said))).replace("\r", "&#xD;"))
        self._said.clear()

    def _end(self, name: str) -> None:
        depth = len(self._scopes) - 1
        if self._skipped == depth and self._resolved(name) == (_NOTE, "HasExtendedXMP"):
            self.found.more = "".join(self._said).strip()
        self._flush()
        if self._skipped:
            self._skipped = 0 if self._skipped == depth else self._skipped
        elif self._rdf and depth > self._rdf + 1:
            self._pieces.append(f"</{name}>")
            if depth == self._rdf + 2:
                self._keep("".join(self._pieces))
                self._pieces.clear()
        elif self._rdf and depth == self._rdf + 1:
            self._close()
        elif depth == self._rdf:
            self._rdf = 0
        self._scopes.pop()

    def _keep(self, text: str) -> None:
        self._size += len(text)
        self.found.descriptions[-1].properties.append(text)

    def _close(self) -> None:
        """A description ends."""
        if not self.found.descriptions[-1].properties:
            self.found.descriptions.pop()
            return
        self._size += sum(map(len, self.found.descriptions[-1].names.values()))
        if self._size > 2 * LONGEST:
            raise ValueError("too long")
