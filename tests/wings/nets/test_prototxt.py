"""Our own reader of prototxt files."""

import pytest

from dreamer.errors import Mistake
from dreamer.nets import prototxt
from dreamer.nets.model import Model


def test_prototxt_agrees_with_protobufs_own_reader(described: Model) -> None:
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    text = described.prototxt_path().read_text()
    ours = text_format.Parse(prototxt.unparse(prototxt.parse(text)), caffe_pb2.NetParameter())
    assert ours == text_format.Parse(text, caffe_pb2.NetParameter())


def test_prototxt_reads_the_formats_odd_corners() -> None:
    assert prototxt.parse('a: 1 # b: 2 {\n s: { d: [1, -2.5e3] } t { u: "x } # y" } v: \'q\';') == [
        ("a", "1"), ("s", [("d", "1"), ("d", "-2.5e3")]), ("t", [("u", '"x } # y"')]), ("v", "'q'")]


@pytest.mark.parametrize(("text", "line"), [("a {", 1), ("\n\n}", 3), ("a: \n", 2), ("\na b", 2), ('a: "x\n', 1)])
def test_prototxt_tells_the_line_that_is_wrong(text: str, line: str) -> None:
    with pytest.raises(Mistake, match=f"line {line}"):
        prototxt.parse(text)
