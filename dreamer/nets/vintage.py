"""Converts net descriptions from before 2015 to today's form. (Caffe does so too when it loads one, but the layers to
dream are chosen before that.)

    input: "data"  input_dim: 1  input_dim: 3  …        a layer of the type Input
    layers { type: CONVOLUTION … }                      layer { type: "Convolution" … }"""

from dreamer.nets import prototxt
from dreamer.nets.prototxt import Message

TYPES = {"ABSVAL": "AbsVal", "BNLL": "BNLL", "CONCAT": "Concat", "CONVOLUTION": "Convolution", "DROPOUT": "Dropout",
         "ELTWISE": "Eltwise", "EXP": "Exp", "FLATTEN": "Flatten", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN",
         "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid", "SLICE": "Slice",
         "SOFTMAX": "Softmax", "SPLIT": "Split", "TANH": "TanH", "THRESHOLD": "Threshold"}
_TRAINING = {"blobs_lr", "weight_decay", "param", "blob_share_mode"}  # a dream does not need them


def modern(net: Message) -> Message:
    """The net in today's form; fields that already have it do not change."""
    inputs = [(name, value) for name, value in net if name in ("input", "input_dim", "input_shape")]
    fields = [("layer", _layer(value)) if name == "layers" else (name, value)
              for name, value in net if (name, value) not in inputs]
    if not inputs:
        return fields
    dims = [("dim", value) for name, value in inputs if name == "input_dim"]
    shape = next((value for name, value in inputs if name == "input_shape"), dims)
    data = prototxt.quoted(prototxt.value(inputs, "input"))
    layer = [("name", data), ("type", '"Input"'), ("top", data), ("input_param", [("shape", shape)])]
    return [("layer", layer), *fields]


def _layer(old: Message) -> Message:
    """A layer from before 2015, in today's form; an unknown type does not change, and gives an error if it is used."""
    return [(name, prototxt.quoted(TYPES.get(value, str(value))) if name == "type" else value)
            for name, value in old if name not in _TRAINING]
