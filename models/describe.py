#!/usr/bin/python3
"""Writes the net descriptions (deploy.prototxt) of the models whose weights others have published.

    $ models/describe.py    # writes all of them; tests compare them with these files

A description is the structure that a paper gives, with the layer names that are in the weights.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from dreamer.nets.prototxt import Message, quoted, unparse  # noqa: E402

# Szegedy et al., "Going deeper with convolutions", 2014, table 1: the channels of
# 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5 and pool_proj; before 4a and 5a there is a pooling
INCEPTIONS = {"3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
              "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
              "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
              "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128)}


class Layers:
    """A net's description in the making. Each method adds layers, and returns the name of the blob that they make."""

    def __init__(self, name: str, side: int) -> None:
        self.message: Message = [("name", quoted(name))]
        shape = [("shape", [("dim", str(size)) for size in (1, 3, side, side)])]
        self.add("data", "Input", [], input_param=shape)

    def add(self, name: str, kind: str, bottoms: Sequence[str], *, top: str = "", **parameters: Message) -> str:
        """A layer of any type."""
        layer: Message = [("name", quoted(name)), ("type", quoted(kind))]
        layer += [("bottom", quoted(bottom)) for bottom in bottoms]
        layer += [("top", quoted(top or name)), *parameters.items()]
        self.message.append(("layer", layer))
        return top or name

    def relu(self, name: str, blob: str) -> str:
        """A ReLU in place."""
        return self.add(name, "ReLU", [blob], top=blob)

    def conv(self, name: str, bottom: str, outputs: int, kernel: int, *, pad: int = 0, stride: int = 1, group: int = 1,
             bias: bool = True, relu: str = "") -> str:
        """A convolution, and a ReLU if it has a name."""
        fields = [("num_output", str(outputs)), ("kernel_size", str(kernel))]
        fields += [("pad", str(pad))] * (pad > 0) + [("stride", str(stride))] * (stride > 1)
        fields += [("group", str(group))] * (group > 1) + [("bias_term", "false")] * (not bias)
        self.add(name, "Convolution", [bottom], convolution_param=fields)
        return self.relu(relu, name) if relu else name

    def pool(self, name: str, bottom: str, kernel: int, stride: int, *, kind: str = "MAX", pad: int = 0) -> str:
        """A pooling."""
        fields = [("pool", kind), ("kernel_size", str(kernel)), ("stride", str(stride))]
        return self.add(name, "Pooling", [bottom], pooling_param=fields + ([("pad", str(pad))] if pad else []))

    def norm(self, name: str, bottom: str) -> str:
        """A local response normalization, with the constants that all nets use."""
        return self.add(name, "LRN", [bottom],
                        lrn_param=[("local_size", "5"), ("alpha", "0.0001"), ("beta", "0.75")])

    def drop(self, name: str, blob: str, share: float) -> str:
        """A dropout, which does nothing in a dream."""
        return self.add(name, "Dropout", [blob], top=blob, dropout_param=[("dropout_ratio", str(share))])

    def full(self, name: str, bottom: str, outputs: int) -> str:
        """A fully connected layer."""
        return self.add(name, "InnerProduct", [bottom], inner_product_param=[("num_output", str(outputs))])

    def concat(self, name: str, *bottoms: str) -> str:
        """The channels of all bottoms."""
        return self.add(name, "Concat", bottoms)


def googlenet(name: str, classes: int) -> Message:
    """GoogLeNet, with bvlc_googlenet's layer names."""
    net = Layers(name, 224)
    x = net.conv("conv1/7x7_s2", "data", 64, 7, pad=3, stride=2, relu="conv1/relu_7x7")
    x = net.norm("pool1/norm1", net.pool("pool1/3x3_s2", x, 3, 2))
    x = net.conv("conv2/3x3_reduce", x, 64, 1, relu="conv2/relu_3x3_reduce")
    x = net.norm("conv2/norm2", net.conv("conv2/3x3", x, 192, 3, pad=1, relu="conv2/relu_3x3"))
    x = net.pool("pool2/3x3_s2", x, 3, 2)
    for block, (plain, reduce3, conv3, reduce5, conv5, after) in INCEPTIONS.items():
        if block in ("4a", "5a"):
            x = net.pool("pool3/3x3_s2" if block == "4a" else "pool4/3x3_s2", x, 3, 2)

        def part(kind: str, bottom: str, outputs: int, kernel: int = 1, at: str = f"inception_{block}") -> str:
            return net.conv(f"{at}/{kind}", bottom, outputs, kernel, pad=kernel // 2, relu=f"{at}/relu_{kind}")

        x = net.concat(f"inception_{block}/output",
                       part("1x1", x, plain),
                       part("3x3", part("3x3_reduce", x, reduce3), conv3, 3),
                       part("5x5", part("5x5_reduce", x, reduce5), conv5, 5),
                       part("pool_proj", net.pool(f"inception_{block}/pool", x, 3, 1, pad=1), after))
    x = net.drop("pool5/drop_7x7_s1", net.pool("pool5/7x7_s1", x, 7, 1, kind="AVE"), 0.4)
    net.add("prob", "Softmax", [net.full("loss3/classifier", x, classes)])
    return net.message


def _classify(net: Layers, bottom: str) -> Message:
    """The net with the three fully connected layers of the nets of 2012 to 2014."""
    x = bottom
    for number in (6, 7):
        x = net.relu(f"relu{number}", net.full(f"fc{number}", x, 4096))
        x = net.drop(f"drop{number}", x, 0.5)
    net.add("prob", "Softmax", [net.full("fc8", x, 1000)])
    return net.message


def caffenet() -> Message:
    """CaffeNet: AlexNet (Krizhevsky et al., 2012), in which the normalization follows the pooling."""
    net = Layers("CaffeNet", 227)
    x = net.conv("conv1", "data", 96, 11, stride=4, relu="relu1")
    x = net.norm("norm1", net.pool("pool1", x, 3, 2))
    x = net.conv("conv2", x, 256, 5, pad=2, group=2, relu="relu2")
    x = net.norm("norm2", net.pool("pool2", x, 3, 2))
    x = net.conv("conv3", x, 384, 3, pad=1, relu="relu3")
    x = net.conv("conv4", x, 384, 3, pad=1, group=2, relu="relu4")
    x = net.conv("conv5", x, 256, 3, pad=1, group=2, relu="relu5")
    return _classify(net, net.pool("pool5", x, 3, 2))


def vgg(name: str, depths: Sequence[int]) -> Message:
    """A net of Simonyan and Zisserman, 2014, with so many convolutions before each of its poolings."""
    net, x = Layers(name, 224), "data"
    for block, (depth, channels) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True), 1):
        for number in range(1, depth + 1):
            x = net.conv(f"conv{block}_{number}", x, channels, 3, pad=1, relu=f"relu{block}_{number}")
        x = net.pool(f"pool{block}", x, 2, 2)
    return _classify(net, x)


def resnet50() -> Message:
    """ResNet-50 (He et al., 2015): blocks that add what three convolutions find to their input."""
    net = Layers("ResNet-50", 224)

    def conv(name: str, bottom: str, outputs: int, kernel: int, stride: int = 1, relu: str = "") -> str:
        # the published weights have a bias for conv1, although a normalization follows
        x = net.conv(name, bottom, outputs, kernel, pad=kernel // 2, stride=stride, bias=name == "conv1")
        after = name.removeprefix("res") if name != "conv1" else "_conv1"
        net.add(f"bn{after}", "BatchNorm", [x], top=x, batch_norm_param=[("use_global_stats", "true")])
        net.add(f"scale{after}", "Scale", [x], top=x, scale_param=[("bias_term", "true")])
        return net.relu(relu, x) if relu else x

    x = net.pool("pool1", conv("conv1", "data", 64, 7, 2, "conv1_relu"), 3, 2)
    for stage, (depth, channels) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), 2):
        for block in "abcdef"[:depth]:
            at = f"res{stage}{block}"
            stride = 2 if block == "a" and stage > 2 else 1
            past = conv(f"{at}_branch1", x, 4 * channels, 1, stride) if block == "a" else x
            found = conv(f"{at}_branch2a", x, channels, 1, stride, f"{at}_branch2a_relu")
            found = conv(f"{at}_branch2b", found, channels, 3, 1, f"{at}_branch2b_relu")
            found = conv(f"{at}_branch2c", found, 4 * channels, 1)
            x = net.relu(f"{at}_relu", net.add(at, "Eltwise", [past, found]))
    net.add("prob", "Softmax", [net.full("fc1000", net.pool("pool5", x, 7, 1, kind="AVE"), 1000)])
    return net.message


def squeezenet() -> Message:
    """SqueezeNet 1.1 (Iandola et al., 2016): a 1x1 convolution squeezes the channels, and two expand them."""
    net = Layers("SqueezeNet 1.1", 227)
    x = net.pool("pool1", net.conv("conv1", "data", 64, 3, stride=2, relu="relu_conv1"), 3, 2)
    for number, channels in zip(range(2, 10), (16, 16, 32, 32, 48, 48, 64, 64), strict=True):
        at = f"fire{number}"
        x = net.conv(f"{at}/squeeze1x1", x, channels, 1, relu=f"{at}/relu_squeeze1x1")
        x = net.concat(f"{at}/concat",
                       net.conv(f"{at}/expand1x1", x, 4 * channels, 1, relu=f"{at}/relu_expand1x1"),
                       net.conv(f"{at}/expand3x3", x, 4 * channels, 3, pad=1, relu=f"{at}/relu_expand3x3"))
        if number in (3, 5):
            x = net.pool(f"pool{number}", x, 3, 2)
    x = net.conv("conv10", net.drop("drop9", x, 0.5), 1000, 1, relu="relu_conv10")
    x = net.add("pool10", "Pooling", [x], pooling_param=[("pool", "AVE"), ("global_pooling", "true")])
    net.add("prob", "Softmax", [x])
    return net.message


def descriptions() -> dict[str, str]:
    """{folder in models/: the text of its deploy.prototxt}."""
    nets = {"caffenet": caffenet(), "googlenet_places205": googlenet("GoogLeNet, Places205", 205),
            "googlenet_places365": googlenet("GoogLeNet, Places365", 365), "resnet50": resnet50(),
            "squeezenet": squeezenet(), "vgg16": vgg("VGG-16", (2, 2, 3, 3, 3)),
            "vgg19": vgg("VGG-19", (2, 2, 4, 4, 4))}
    return {name: f"# made by models/describe.py\n{unparse(message)}" for name, message in nets.items()}


if __name__ == "__main__":
    for folder, text in descriptions().items():
        (HERE / folder).mkdir(exist_ok=True)
        (HERE / folder / "deploy.prototxt").write_text(text)
