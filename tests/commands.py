"""The commands in the blocks of the README and the manual, and the folder in which the tests run them."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from containers import checkout
from helpers import ROOT, Word

PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in (
    "studio", "farm", "farm-cluster", "machines", "options", "layers", "steps", "pictures", "films", "resuming",
    "speed", "memory", "python", "programs", "hacking", "troubleshooting", "environment"))]
README = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.M | re.S)  # (language, text)
SIZE = (24, 18)  # of a photo: so small that it has one octave, so that even a film of it takes only a moment
DEEP = (48, 36)  # of a photo that a class is dreamed into: the last layers need more

CLUSTER = "tests/test_farm_cluster.py types it"
# Commands that no test runs as they stand, and why.
ELSEWHERE = {
    'docker run --rm -it -v "%cd%:/vagrant" image-dreamer photo.jpg dream.png': "it is for the cmd of Windows",
    "sudo dreamer/machine/box.sh virtualbox": "tests/vm/test_virtualbox.py makes the box",
    "docker build --target box -t dreamer-box .": "tests/vm/test_virtualbox.py makes the box",
    'docker run --rm -v "${PWD}:/vagrant" dreamer-box virtualbox': "tests/vm/test_virtualbox.py makes the box",
    "DREAMER_ARCH=arm64 dreamer/machine/release.sh caffe": "it takes long; tests/test_arm64.py runs it if asked for",
    "./dreamify.py studio": "it runs until it is stopped; tests/test_studio.py starts it",
    "./dreamify.py studio --farm local": "it runs until it is stopped; tests/test_studio_farm.py starts it",
    "./dreamify.py studio --farm tls://192.168.1.5:8786": "no machine of the tests has that address",
    "./dreamify.py studio --bind 192.168.1.5": "no machine of the tests has that address",
    'docker run --rm -it -p 127.0.0.1:8420:8420 -v "${PWD}:/vagrant" image-dreamer studio':
        "it runs until it is stopped; tests/test_container.py starts it",
    "vagrant ssh -c 'dreamify studio'": "it runs until it is stopped; tests/test_vagrant.py starts it",
    "./dreamify.py farm keys farm-keys": "tests/test_farm.py runs it",
    "docker compose -f dreamer/farm/compose.yaml up -d --scale worker=3": "tests/test_farm.py runs it",
    "docker compose -f dreamer/farm/compose.yaml run --rm dream photos dreams": "tests/test_farm.py runs it",
    "docker compose -f dreamer/farm/compose.yaml down": "tests/test_farm.py runs it",
    "./dreamify.py farm worker tls://192.168.1.5:8786 --folder /mnt/photos": "tests/test_farm_shared.py starts one",
    "DREAMER_FARM_FOLDER=/srv/photos ./dreamify.py /srv/photos/in /srv/photos/out --farm tls://192.168.1.5:8786":
        "tests/test_farm_shared.py runs it in another folder",
    "./dreamify.py farm keys": CLUSTER,
    "rm -f farm-address && sbatch farm.sh": CLUSTER,
    './dreamify.py farm status "$(cat farm-address)"': CLUSTER,
    'srun --mem=2G ./dreamify.py photos dreams --farm "$(cat farm-address)"': CLUSTER,
    "sbatch --array=3-4 farm.sh": CLUSTER,
    "scancel --name farm": CLUSTER,
    'docker run --rm --network host -v "${PWD}:/vagrant" -v "${PWD}/farm-keys:/keys:ro" -e DREAMER_FARM_KEYS=/keys '
    "image-dreamer photos dreams --farm tls://127.0.0.1:8786": CLUSTER,
    **dict.fromkeys(("kubectl create secret generic farm-keys --from-file=farm-keys", "kubectl apply -f farm.yaml",
                     "kubectl port-forward service/farm-scheduler 8786",
                     "kubectl scale deployment farm-worker --replicas=10", "kubectl delete -f farm.yaml"),
                    "the tests have no Kubernetes; tests/test_farm_cluster.py checks the file, and runs what is in it"),
    "tests/bench/peers.py --torch --openvino --tensorflow": "it takes an hour; tests/test_bench.py tests its parts",
    "tests/run": "it is what runs the tests",
    "tests/run quick": "it runs some of these tests",
}


class Command(NamedTuple):
    """A line of a block.

    line   its text, without the comment after it
    block  number of its block"""

    line: str
    block: int

    @property
    def outputs(self) -> list[str]:
        """Names of the files that exist afterwards; of numbered files, the first. Some may exist before too."""
        words = [word for word in shlex.split(self.line) if not word.startswith("-")]
        for request in [word for word in words if word.startswith("{")]:  # JSON
            words += [value for value in json.loads(request).values() if isinstance(value, str)]
        named = [word for word in words if re.fullmatch(r"[\w %-]+\.\w{2,5}", word) and "/" not in word]
        return [word % 1 if "%" in word else word for word in named]


def block(page: str, language: str) -> str:
    """The text of the only block in that language of a page of the manual."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / f"docs/{page}.md").read_text(), re.M | re.S)
    return str(text)


def of_page(page: str) -> list[str]:
    """The commands of a page of the manual, without the comments after them."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / f"docs/{page}.md").read_text(), re.M | re.S)
    return [re.sub(r"\s+# .*", "", line).strip() for text in blocks for line in text.splitlines() if line]


def commands() -> list[Command]:
    """All Commands of all pages, in order."""
    found = []
    for number, (language, text) in enumerate(BLOCKS):
        if language in ("sh", "bat"):
            whole = re.sub(r"(?<=\|)\n\s*", " ", text)  # such a line continues in the next
            lines = [re.sub(r"\s+# .*", "", line).strip() for line in whole.splitlines()]
            found += [Command(line, number) for line in lines if line]
    return found


def kind(command: Command) -> str:
    """Which tests run a Command: "vagrant", "container", "fast", or "elsewhere"."""
    if command.line in ELSEWHERE:
        return "elsewhere"
    if BLOCKS[command.block][1].startswith("vagrant up\n"):
        return "vagrant"
    return "container" if re.match(r"(\w+=\w+ )?docker ", command.line) else "fast"


def of_kind(wanted: str) -> list[Command]:
    """The Commands of this kind."""
    return [command for command in commands() if kind(command) == wanted]


def folder_with_photos(folder: Path) -> Path:
    """A checkout of this work tree in `folder`, with small versions of all files that the README's commands name."""
    checkout(folder)
    sky = Image.open(ROOT / "tests/pictures/sky.jpg").resize(SIZE)
    for name in ("photo.jpg", "photo2.jpg", "photos/one.jpg", "photos/two.png", "frames/frame2.png",
                 "frames/frame10.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        sky.save(folder / name)
    Image.linear_gradient("L").save(folder / "face.png")
    return folder


def make_video(path: Word) -> None:
    """Make a video of three frames."""
    sky = np.asarray(Image.open(ROOT / "tests/pictures/sky.jpg").resize((80, 60)))
    frames = b"".join(np.roll(sky, shift, 1).tobytes() for shift in range(3))
    subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "80x60", "-i", "-",
                    "-pix_fmt", "yuv420p", path], input=frames, check=True)
