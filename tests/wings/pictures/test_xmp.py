"""XMP: what stays, what goes, and what attacks."""

import base64
import time
from xml.etree import ElementTree

import pytest

from dreamer.pictures import xmp
from dreamer.pictures.xmp import Description

DC, BASIC = "http://purl.org/dc/elements/1.1/", "http://ns.adobe.com/xap/1.0/"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IMAGE = base64.b64encode(b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256)) * 4).decode()


def packet(properties: str, attributes: str = "", outer: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/" {outer}>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="{DC}"
 xmlns:xmp="{BASIC}" xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" xmlns:GImage="http://ns.google.com/photos/1.0/image/"
 xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:mine="urn:mine" xmlns:dreamer="urn:image-dreamer:"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" {attributes}>
{properties}</rdf:Description></rdf:RDF></x:xmpmeta>
{" " * 2000}<?xpacket end="w"?>""".encode()


TITLE = '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A &lt;b&gt; &amp; ☃ \'"</rdf:li></rdf:Alt></dc:title>'
KEYWORDS = "<dc:subject><rdf:Bag><rdf:li>sky</rdf:li><rdf:li>sea</rdf:li></rdf:Bag></dc:subject>"


def again(found: xmp.Xmp) -> ElementTree.Element:
    return ElementTree.fromstring(found.packet().decode())


def test_title_rating_keywords_and_panorama_stay() -> None:
    found = xmp.read(packet(TITLE + KEYWORDS + "<GPano:FullPanoWidthPixels>9</GPano:FullPanoWidthPixels>",
                            'xmp:Rating="4" photoshop:Headline="a&#10;b"'))
    tree = again(found)
    assert tree.findtext(f".//{{{DC}}}title//{RDF}li") == "A <b> & ☃ '\""
    assert [each.text for each in tree.findall(f".//{{{DC}}}subject//{RDF}li")] == ["sky", "sea"]
    assert tree.findtext(f".//{{{BASIC}}}Rating") == "4"
    assert tree.findtext(".//{http://ns.google.com/photos/1.0/panorama/}FullPanoWidthPixels") == "9"
    assert tree.findtext(".//{http://ns.adobe.com/photoshop/1.0/}Headline") == "a\nb"
    assert found.packet() == xmp.read(found.packet()).packet()
    assert found.lost == set()


@pytest.mark.parametrize(("properties", "lost"), [
    (f'<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:image>{IMAGE}</xmpGImg:image></rdf:li>'
     "</rdf:Alt></xmp:Thumbnails>", None),
    (f"<GImage:Data>{IMAGE}</GImage:Data>", "second image"), (f"<mine:any>{IMAGE}</mine:any>", None),
    (f'<mine:any mine:other="{IMAGE}"/>', None), ("<hdrgm:Version>1.0</hdrgm:Version>", "gain map"),
    ("<tiff:Orientation>6</tiff:Orientation>", None), ("<exif:PixelXDimension>9</exif:PixelXDimension>", None),
    ("<dreamer:recipe>{}</dreamer:recipe>", None)],
    ids=["thumbnail", "second", "any", "attribute", "gain", "orientation", "size", "recipe"])
def test_images_and_what_does_not_apply_go(properties: str, lost: str | None) -> None:
    found = xmp.read(packet(TITLE + properties))
    assert IMAGE.encode() not in found.packet()
    name = properties[1:].split(">")[0].split(" ")[0]
    assert (name in found.packet().decode()) == name.startswith("mine")  # "mine" stays, without its image
    assert again(found).findtext(f".//{{{DC}}}title//{RDF}li")
    assert found.lost == (set() if lost is None else {lost})


@pytest.mark.parametrize("keep", [False, True])
def test_places_go_unless_they_are_to_be_kept(keep: bool) -> None:
    found = xmp.read(packet(TITLE + "<exif:GPSLatitude>52,22N</exif:GPSLatitude><Iptc4xmpExt:LocationShown><rdf:Bag>"
                            "<rdf:li>Amsterdam</rdf:li></rdf:Bag></Iptc4xmpExt:LocationShown>",
                            'photoshop:City="Amsterdam" photoshop:Country="NL"'), keep)
    assert found.packet().count(b"Amsterdam") == (2 if keep else 0)
    assert (b"52,22" in found.packet(), b"NL<" in found.packet()) == (keep, keep)


@pytest.mark.parametrize("prefix", ["mine", "dreamer"])
def test_nothing_in_it_passes_for_our_recipe(prefix: str) -> None:
    outer = 'xmlns:dreamer="urn:other"'
    data = packet(f"<{prefix}:a>dreamer:recipe='x' &lt;dreamer:recipe>{{}}&lt;</{prefix}:a>").replace(
        b'xmlns:dreamer="urn:image-dreamer:"', outer.encode())
    data = data.replace(b"</rdf:Description>", b"<dreamer:recipe>{}</dreamer:recipe></rdf:Description>")
    found = xmp.read(data).packet().decode()
    assert "<dreamer:recipe" not in found
    assert "dreamer:recipe=" not in found.replace("dreamer:recipe=&#x27;", "")


def test_what_is_long_goes_into_an_extended_packet_and_comes_back() -> None:
    long = "".join(f"<mine:p{number}>{'word, ' * 2000}</mine:p{number}>" for number in range(20))
    found = xmp.read(packet(long + TITLE, 'xmp:Rating="4"'))
    ours = Description({"dreamer": "urn:image-dreamer:"}, ["<dreamer:recipe>{}</dreamer:recipe>"])
    main, more = found.split(65000, ours)
    assert len(main) <= 65000
    assert b"dreamer:recipe" in main
    assert b"xmp:Rating" in main
    assert b"dc:title" in main
    parts = xmp.parts(more)
    assert len(parts) > 2
    assert max(map(len, parts)) < 65533
    first = xmp.read(main)
    second = xmp.read(xmp.joined([b"other", *reversed(parts)], first.more))
    count = sum(len(each.properties) for each in first.descriptions + second.descriptions)
    assert count == 22
    with pytest.raises(ValueError, match="whole"):
        xmp.joined(parts[:-1], first.more)
    assert found.split(1 << 20) == (found.packet(), b"")


@pytest.mark.parametrize("data", [
    b"", b"<", b"<a>", b"<a:b/>", b"\xff\xfe\0", b"no", packet("<un:known/>"), packet("<dc:title>"),
    packet("<mine:a>" * 200 + "</mine:a>" * 200), packet("").replace(b"xmlns:rdf=\"http", b"xmlns:rdf=\"urn"),
    packet("<mine:a " + " ".join(f'xmlns:n{number}="u"' for number in range(500)) + "/>"), bytes(17 << 20),
    packet("<mine:a/>" * 200_000),
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', packet("<dc:title>&b;</dc:title>")])
def test_what_is_damaged_or_hostile_is_refused(data: bytes) -> None:
    try:
        assert xmp.read(data).descriptions == []
    except ValueError:
        return


def test_entities_are_never_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{number + 1} "{f"&l{number};" * 10}">' for number in range(9))
    began = time.monotonic()
    with pytest.raises(ValueError, match="document type"):
        xmp.read(f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>'.encode() + packet("<dc:title>&l9;</dc:title>"))
    with pytest.raises(ValueError, match="document type"):
        xmp.read(b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + packet(TITLE))
    print(f"{time.monotonic() - began:.3f} s")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-16"])
def test_every_encoding_is_read(encoding: str) -> None:
    data = packet(TITLE).decode().encode(encoding) + bytes(40)
    assert "☃" in xmp.read(data).packet().decode()


def test_a_panoramas_sizes_follow_the_picture() -> None:
    found = xmp.read(packet("<GPano:FullPanoWidthPixels>8001</GPano:FullPanoWidthPixels><GPano:PoseHeadingDegrees>90"
                            "</GPano:PoseHeadingDegrees>", 'GPano:CroppedAreaTopPixels="100"'))
    found.scale(0.25)
    for text in (b"WidthPixels>2000<", b"TopPixels>25<", b"Degrees>90<"):
        assert text in found.packet()
