"""What people type by mistake, and the answers that they must get: a table, and the folder in which they type.

The rows hold on every machine: their words contain no command and no path that differs between a bare machine and
our container."""

import glob
import os
import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from dreamer.pictures import writing
from dreamer.pictures.picture import Picture
from helpers import ROOT


class Row(NamedTuple):
    """What was typed after the program's name, and the answer.

    code   exit code
    words  the answer contains all of them
    lines  number of lines on standard error, one for each problem
    lost   names of files that are overwritten, because the user asked for it"""

    typed: str
    code: int
    words: tuple[str, ...]
    lines: int = 1
    lost: tuple[str, ...] = ()


def make(folder: Path) -> Path:
    """Fill the folder, and return it: pictures, one of them a dream, and files of all kinds that must not be lost."""
    folder.mkdir(parents=True, exist_ok=True)
    sky = Image.open(ROOT / "tests/pictures/sky.jpg")
    for number, name in enumerate((
            "photo.jpg", "photo2.jpg", "my photo.jpg", "guide.png", "mask.png", "victim.jpg", "victim.png",
            "victim.tif", "victim.webp", "victim.gif", "film.gif", "frame-0002.png", "photos/one.jpg", "photos/two.jpg",
            "photos/one-dream.jpg", "-p.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        small = sky.resize((90 + number, 60))
        moves = {"save_all": True, "append_images": [small.rotate(9)]}
        small.save(folder / name, **(moves if name == "film.gif" else {}))
    for name in ("notes.txt", "victim.mp4", "page.html", "film.mp4", "notes.caffemodel"):
        (folder / name).write_text("<p>something of mine</p>")
    (folder / "broken.jpg").write_bytes((folder / "photo.jpg").read_bytes()[:900])
    for name in ("empty.jpg", "empty.png"):
        (folder / name).touch()
    for name in ("dreams", "birds"):
        (folder / name).mkdir()
    recipe = {"layer": "conv2/3x3", "iterations": 1, "octaves": 1, "seed": 1, "guide": "guide.png",
              "guide_sha256": "0" * 64}
    writing.write(folder / "guided.png", Picture(np.zeros((60, 90, 3), np.uint8), recipe=recipe))
    return folder


def words(typed: str, folder: Path) -> list[str]:
    """The words into which a shell in the folder splits this line."""
    found: list[str] = []
    for word in shlex.split(typed):
        names = sorted(glob.glob(word, root_dir=folder)) if set("*?") & set(word) else []
        found += names or [word]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """{name: bytes} of all files in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and not os.path.islink(path)}


SHORT = "conv2/3x3 1 1"  # a dream that takes only a moment
FOREIGN = ("exists and is not a dream", "--force")
SEVERAL = ("several pictures", "folder", "quote names with spaces")
FORMATS = (".jpg", ".png", ".webp")

ROWS = [
    # nothing, or not enough
    Row("", 0, ("usage:", "photo.jpg dream.png", "*.jpg dreams/", "--help"), 0),
    Row("photo.jpg", 2, ("output: name the file for the dream",)),
    Row("atlas", 2, ("input: name a picture", "output: name the file"), 2),
    Row("atlas photo.jpg", 2, ("output: name the file",)),
    Row("recipe", 2, ("FILE is missing",)),
    Row("photo.jpg ''", 2, ("output: name the file",)),
    Row("'' dream.png", 2, ("input: name a picture",)),
    Row("film.mp4", 2, ("is a video", "name a film", ".gif .mkv .mov .mp4 .webm .webp")),

    # the input
    Row("nothing.jpg dream.png", 2, ("no such file: nothing.jpg",)),
    Row("Photo.JPG dream.png", 2, ("no such file: Photo.JPG",)),
    Row("notes.txt dream.png", 2, ("notes.txt is not a picture",)),
    Row("broken.jpg dream.png", 2, ("broken.jpg", "damaged or cut short")),
    Row("empty.jpg dream.png", 2, ("empty.jpg is empty",)),
    Row("film.mp4 dream.png", 2, ("is a video", "a film as OUTPUT")),
    Row("film.mp4 dream.gif", 2, ("film.mp4",)),
    Row("- dream.png", 2, ("standard input is empty",)),
    Row("photos dream.png", 2, ("dream.png is not a folder",)),
    Row("-p.png dream.png", 2, ("-p.png", "./-p.png")),
    Row("https://example.org/photo.jpg dream.png", 2, ("download it first",)),
    Row("'file:///tmp/photo.jpg' dream.png", 2, ("download it first",)),
    Row(r"'C:\photos\a.jpg' dream.png", 2, ("a.jpg",)),
    Row("'~/photo.jpg' dream.png", 2, ("no such file: ~/photo.jpg",)),

    # nothing as the input
    Row("noise", 2, ("output: name the file",)),
    Row("noize dream.png", 2, ("no such file: noize; did you mean noise?",)),
    Row("Noise:90x60 dream.png", 2, ("did you mean noise:90x60?",)),
    Row("color dream.png", 2, ("color: a colour is six hexadecimal digits", "such as color:203040")),
    Row("colour:20304 dream.png", 2, ("six hexadecimal digits", "such as colour:203040")),
    Row("'colour:#203040' dream.png", 2, ("six hexadecimal digits", "such as colour:203040")),
    Row("noise:448 dream.png", 2, ("noise:448: the size must be a width and a height", "such as noise:1024x576")),
    Row("noise:0x60 dream.png", 2, ("the size must be a width and a height in pixels",)),
    Row("grey:203040 dream.png", 2, ("such as grey:1024x576",)),
    Row("noise:20000x20000 dream.png", 2, ("has more than 89478485 pixels", "make it smaller", "--max-pixels")),
    Row("atlas noise:999999999999x99999999 dream.png", 2, ("has more than 89478485 pixels",)),
    Row("noise:9000000x9000000 dream.png --max-pixels 99999999999999", 2, ("too large for this machine's memory",)),
    Row("noise:30x20 dream.png inception_5b/output", 2, ("needs at least", "the picture has 30×20")),
    Row("photo.jpg noise dreams/", 2, ("noise is not a file: dream it by itself",)),
    Row("noise dreams/", 2, ("noise is not a file: dream it by itself, with a file as OUTPUT",)),
    Row("noise dreams", 2, ("dreams must end in one of", *FORMATS)),
    Row("noise dreams --watch", 2, ("watch: noise is not a folder",)),
    Row("noise dreams/ --watch", 2, ("name one folder to watch", "noise is not a file"), 2),
    Row("noise --watch", 2, ("watch: noise is not a folder",)),
    Row("noise dream.png --mask grey", 2, ("mask: no such file: grey",)),
    Row("noise photo.jpg", 2, ("photo.jpg", *FOREIGN)),
    Row(f"noise:90x60 dream.png {SHORT}", 0, ("dream.png: done",), 0),
    Row(f"gray:90x60 dream.png {SHORT} --fps 5", 0, ("--fps has no effect",)),
    Row(f"color:FFaa00:90x60 dream.png {SHORT}", 0, ("dream.png: done",), 0),

    # the output
    Row("photo.jpg dream.bmp", 2, ("dream.bmp must end in one of", *FORMATS)),
    Row("photo.jpg dream", 2, ("must end in one of", *FORMATS)),
    Row("photo.jpg dream.pdf", 2, ("must end in one of", *FORMATS)),
    Row("photo.jpg notes.txt", 2, ("must end in one of", *FORMATS)),
    Row("photo.jpg nowhere/dream.png", 2, ("nowhere", "does not exist")),
    Row("photo.jpg photo.jpg/dream.png", 2, ("photo.jpg",)),
    Row("photo.jpg https://example.org/dream.png", 2, ("is a URL; name a file",)),
    Row(r"photo.jpg '.\dream.png'", 2, ("is a Windows path", "write ./dream.png")),
    Row("atlas photo.jpg dream.gif", 2, ("must end in one of", ".html")),
    Row("atlas photo.jpg nowhere/dreams/", 2, ("nowhere",)),
    Row("atlas photo.jpg photo2.jpg/", 2, ("photo2.jpg/ is not a folder",)),
    Row("atlas photo.jpg -", 2, ("must be files, not -",)),

    # files that would be lost
    Row("photo.jpg photo.jpg", 2, ("is the input itself", "--force")),
    Row("photo.jpg ./photo.jpg", 2, ("is the input itself",)),
    Row("photo.jpg photo2.jpg", 2, ("photo2.jpg", *FOREIGN)),
    Row("dream.png photo.jpg", 2, ("no such file: dream.png", "photo.jpg", *FOREIGN), 2),  # swapped
    *(Row(f"photo.jpg victim{extension}", 2, (f"victim{extension}", *FOREIGN))
      for extension in (".jpg", ".png", ".tif", ".webp")),
    Row("photo.jpg victim.png --guide guide.png", 2, ("victim.png", *FOREIGN)),
    Row("photo.jpg victim.gif", 2, ("victim.gif", *FOREIGN)),
    *(Row(f"photo.jpg victim{extension} --zoom 3", 2, (f"victim{extension}", *FOREIGN))
      for extension in (".gif", ".webp")),
    Row("photo.jpg frame-0002.png", 2, ("frame-0002.png", *FOREIGN)),
    Row("photo.jpg frame-%04d.png", 2, ("frame-0002.png", *FOREIGN)),
    Row("photo.jpg frame-%04d.png --zoom 3", 2, ("frame-0002.png", *FOREIGN)),
    Row("photos frame-%04d.png", 2, ("frame-0002.png", *FOREIGN, "differs in size"), 2),
    Row("frame-0002.png frame-%04d.png --zoom 3 --force", 2, ("would overwrite the input",)),
    Row("film.gif victim.webp", 2, ("victim.webp", *FOREIGN)),
    Row("film.gif film.gif", 2, ("is the input itself",)),
    Row("atlas photo.jpg victim.jpg", 2, ("victim.jpg", *FOREIGN)),
    Row("atlas photo.jpg page.html", 2, ("page.html", *FOREIGN)),
    Row("atlas photo.jpg photo.jpg", 2, ("is the input itself",)),
    Row("photo.jpg dream.png --preview victim.jpg", 2, ("preview: victim.jpg", *FOREIGN)),
    Row("photo.jpg dream.png --preview photo.jpg", 2, ("preview: photo.jpg is the input itself",)),
    Row("photo.jpg dream.png --preview photo.jpg --force", 2, ("preview: photo.jpg is the input itself",)),
    Row("photo.jpg photo2.jpg dreams/ --preview photo2.jpg --force", 2, ("photo2.jpg is the input itself",)),
    Row("photos dreams --preview photos/two.jpg --force", 2, ("two.jpg is one of the pictures",)),
    Row("photos/one.jpg photos/one-dream.jpg photos/", 2, ("one-dream.jpg is one of the pictures",)),
    Row("photos/one.jpg photos/one-dream.jpg photos/ --force", 2, ("one-dream.jpg is one of the pictures",)),
    Row("photos/one.jpg photos/", 2, ("one-dream.jpg", *FOREIGN)),
    Row("photo.jpg guide.png --guide guide.png --force", 2, ("is the guide itself",)),
    Row("photo.jpg mask.png --mask mask.png --force", 2, ("is the mask itself",)),
    Row("photo.jpg dream.png --events photo.jpg", 2, ("events:", "name another file")),
    Row("photo.jpg photo2.jpg dreams/ --events photo2.jpg", 2, ("events:", "name another file")),
    Row("photo.jpg dream.png --events notes.txt", 2, ("does not contain events",)),
    Row(f"photo.jpg victim.jpg {SHORT} --force", 0, ("victim.jpg: done",), 0, ("victim.jpg",)),
    Row(f"photo.jpg photo.jpg {SHORT} --force", 0, ("photo.jpg: done",), 0, ("photo.jpg",)),
    Row(f"photo.jpg empty.png {SHORT}", 0, ("empty.png: done",), 0, ("empty.png",)),
    Row(f"photo.jpg guided.png {SHORT}", 0, ("guided.png: done",), 0, ("guided.png",)),

    # several pictures, and names with spaces
    Row("*.jpg", 2, SEVERAL),
    Row("*.jpg dream.png", 2, SEVERAL),
    Row("*.jpg eyes", 2, SEVERAL),
    Row("photo.jpg photo2.jpg dream.png", 2, SEVERAL),
    Row("my photo.jpg dream.png", 2, SEVERAL),
    Row("my photo.jpg dream.png eyes", 2, SEVERAL),
    Row("photo.jpg my dream.png", 2, SEVERAL),
    Row("photo.jpg nothing.jpg dreams/", 2, ("no such file: nothing.jpg",)),
    Row("photo.jpg film.mp4 dreams/", 2, ("film.mp4 is a video",)),
    Row("photo.jpg ./photo.jpg dreams/", 2, ("would have the same name",)),
    Row("photo.jpg photo2.jpg nowhere/dreams/", 2, ("nowhere",)),
    Row("photo.jpg photo2.jpg dreams/ --zoom 3", 2, ("a zoom needs a single picture",)),
    Row("photo.jpg photo2.jpg dreams/ --watch", 2, ("name one folder to watch",)),
    Row("photo.jpg photo2.jpg dreams/ eyes 0", 2, ("iterations: '0'",)),
    Row("photo.jpg dreams/ byrds", 2, ("'byrds'", "birds")),
    Row("photos --watch --zoom 3", 2, ("a zoom needs a single picture",)),
    Row("photo.jpg --watch", 2, ("watch: photo.jpg is not a folder", "dreams of several pictures"), 2),
    Row(f"photo.jpg photo2.jpg dreams {SHORT}", 0, ("photo.jpg", "dreams/photo2-dream.jpg: done"), 0),
    Row(f"'my photo.jpg' . {SHORT}", 0, ("my photo-dream.jpg: done",), 0),
    Row(f"photo.jpg notes.txt new/ {SHORT}", 1, ("1 of 2 pictures could not be dreamed", "notes.txt is not"), 2),

    # the layer or look, and the numbers after it
    Row("photo.jpg dream.png eye", 2, ("no layer 'eye'", "did you mean eyes")),
    Row("photo.jpg dream.png dog", 2, ("did you mean dogs",)),
    Row("photo.jpg dream.png birdz", 2, ("did you mean birds",)),
    Row("photo.jpg dream.png eyes+dogs", 2, ("the look eyes stands alone", "inception_4b/pool")),
    Row("photo.jpg dream.png eyes:3", 2, ("the look eyes stands alone",)),
    Row("photo.jpg dream.png inception_4c/outptu", 2, ("did you mean inception_4c/output",)),
    Row("photo.jpg dream.png xyzzy", 2, ("no layer 'xyzzy'", "list them with", "keys")),
    Row("photo.jpg dream.png 20", 2, ("no layer '20'", "keys")),
    Row("photo.jpg dream.png 'conv9*'", 2, ("matches no layer", "keys")),
    Row("photo.jpg dream.png inception_4c/output:512", 2, ("channels 0 to 511",)),
    Row("photo.jpg dream.png inception_4c/output:9-7", 2, ("goes backwards",)),
    Row("photo.jpg dream.png inception_4c/output*0", 2, ("is not a weight",)),
    Row("photo.jpg dream.png eyes ten", 2, ("iterations: 'ten' is not a whole number",)),
    Row("photo.jpg dream.png eyes 1.5", 2, ("iterations: '1.5' is not a whole number",)),
    Row("photo.jpg dream.png eyes 10 0", 2, ("octaves: '0'",)),
    Row("photo.jpg dream.png eyes 10 101", 2, ("octaves: '101'",)),
    Row("photo.jpg dream.png eyes 10 4 1", 2, ("scale: '1'",)),
    Row("photo.jpg dream.png eyes 10 4 1,4", 2, ("scale: '1,4'",)),
    Row("photo.jpg dream.png eyes 10 4 1.4 9", 2, ("too many arguments: 9",)),
    Row("photo.jpg dream.png eyes ten 0 1", 2, ("iterations", "octaves", "scale"), 3),
    Row("photo.jpg dream.png Conv2/3X3 1 1", 0, ("warning: Conv2/3X3: using conv2/3x3",)),
    Row("photo.jpg dream.png mixed3a 1 1", 0, ("warning: mixed3a: using inception_3a/output",)),
    Row("photo.jpg dream.png 3a 1 1", 0, ("warning: 3a: using inception_3a/output",)),

    # options that do not exist
    Row("photo.jpg dream.png --iterations 5", 2, ("--iterations", "the first number after LAYER")),
    Row("photo.jpg dream.png eyes --octaves=5", 2, ("--octaves=5", "the second number after LAYER")),
    Row("photo.jpg dream.png eyes --scale 2", 2, ("the third number after LAYER",)),
    Row("photo.jpg dream.png --layer eyes", 2, ("LAYER has no dashes: it is the third word",)),
    Row("photo.jpg dream.png -l eyes", 2, ("the third word",)),
    Row("photo.jpg -o dream.png", 2, ("OUTPUT has no dashes", "second word", "output: name the file"), 2),
    Row("-i photo.jpg -o dream.png", 2, ("the first word", "the second word"), 4),
    Row("photo.jpg dream.png --steps 5", 2, ("the first number after LAYER",)),
    Row("photo.jpg dream.png --size 100", 2, ("did you mean --max-size?",)),
    Row("photo.jpg dream.png --size=100", 2, ("did you mean --max-size?",)),
    Row("photo.jpg dream.png --max_size 100", 2, ("did you mean --max-size?",)),
    Row("photo.jpg dream.png --maxsize 100", 2, ("did you mean --max-size?",)),
    Row("photo.jpg dream.png --guid guide.png", 2, ("did you mean --guide?",)),
    Row("photo.jpg dream.png --overwrite", 2, ("did you mean --force?",)),
    Row("photo.jpg dream.png -f", 2, ("did you mean --force?",)),
    Row("photo.jpg dream.png -q", 2, ("did you mean --quiet?",)),
    Row("photo.jpg dream.png --clip", 2, ("did you mean --no-clip?",)),
    Row("photo.jpg dream.png --xyzzy", 2, ("unknown option: --xyzzy; --help lists",)),
    Row("photo.jpg dream.png –force", 2, ("long dash", "--force")),  # noqa: RUF001 - of a word processor
    Row("photo.jpg dream.png --describe", 2, ("unknown option: --describe",)),
    Row("-help", 2, ("did you mean --help?",), 3),
    Row("--looks", 2, ("the command looks has no dashes",), 3),
    Row("--recipe guided.png", 2, ("the command recipe has no dashes", "output: name"), 2),
    Row("atlas photo.jpg page2.html --ful", 2, ("did you mean --full?",)),
    Row("atlas photo.jpg page2.html --fps 3", 2, ("unknown option: --fps",)),
    Row("key --describ", 2, ("did you mean --describe?",)),

    # options with wrong values
    Row("photo.jpg dream.png --seed", 2, ("--seed", "expected one argument")),
    Row("photo.jpg dream.png --seed -1", 2, ("seed: '-1'",)),
    Row("photo.jpg dream.png --seed five", 2, ("seed: 'five'",)),
    Row("photo.jpg dream.png --max-size 0", 2, ("max-size: '0'",)),
    Row("photo.jpg dream.png --max-size 640x480", 2, ("max-size: '640x480'",)),
    Row("photo.jpg dream.png --max-pixels 100", 2, ("more than 100 pixels", "--max-pixels")),
    Row("photo.jpg dream.png --step-size 0", 2, ("step-size: '0'",)),
    Row("photo.jpg dream.png --smooth -1", 2, ("smooth: '-1' is not a number at least 0 and at most 100",)),
    Row("photo.jpg dream.png --smooth", 2, ("--smooth",)),
    Row("photo.jpg dream.png --strength 0", 2, ("strength: '0'",)),
    Row("photo.jpg dream.png --strength 50%", 2, ("strength: '50%' is not a number above 0 and at most 100",)),
    Row("photo.jpg dream.png --blur 2", 2, ("did you mean --smooth?",)),
    Row("photo.jpg dream.png --opacity 50", 2, ("did you mean --strength?",)),
    Row("photo.jpg dream.png --keep-colors", 2, ("did you mean --keep-colours?",)),
    Row("photo.jpg dream.png --preserve-colors", 2, ("did you mean --keep-colours?",)),
    Row("photo.jpg dream.png --jitter -5", 2, ("jitter: '-5'",)),
    Row("photo.jpg dream.png --memory lots", 2, ("memory: 'lots'", "512m")),
    Row("photo.jpg dream.png --threads 0", 2, ("threads: '0'",)),
    Row("photo.jpg dream.png --events fd:987", 2, ("fd:987 is not open",)),
    Row("photo.jpg dream.png --model vgg", 2, ("no model 'vgg'", "bvlc_googlenet", "daydream")),
    Row("keys --model vgg", 2, ("no model 'vgg'", "daydream")),
    Row("photo.jpg dream.png --weights nothing.caffemodel", 2, ("no such file: nothing.caffemodel",)),
    Row("photo.jpg dream.png --weights notes.caffemodel", 2, ("notes.caffemodel is not a file of Caffe weights",)),
    Row("photo.jpg dream.png --weights https://example.org/x.caffemodel", 2, ("download it first",)),
    Row("photo.jpg dream.png --guide nothing.jpg", 2, ("guide: no such file: nothing.jpg",)),
    Row("photo.jpg dream.png --guide photos", 2, ("guide: photos is a folder",)),
    Row("photo.jpg dream.png --guide https://example.org/a.jpg", 2, ("guide:", "download it first")),
    Row("photo.jpg dream.png --guide guide.png --guide mask.png", 2, ("--guide is given 2 times",)),
    Row("photo.jpg dream.png --mask notes.txt", 2, ("mask: notes.txt is not a picture",)),
    Row("photo.jpg dream.png --mask https://example.org/a.jpg", 2, ("mask:", "download it first")),
    Row("photo.jpg dream.png --mask mask.png --mask=guide.png", 2, ("--mask is given 2 times",)),
    Row("photo.jpg dream.png --like photo.jpg", 2, ("like: photo.jpg has no recipe",)),
    Row("photo.jpg dream.png --like https://example.org/a.jpg", 2, ("like:", "download it first")),
    Row("photo.jpg dream.png --like guided.png", 2, ("was guided by guide.png", "--guide")),
    Row("photo.jpg dream.png --preview dream.gif", 2, ("preview: dream.gif must end in one of", *FORMATS)),

    # films
    Row("photo.jpg dream.png --zoom 3", 2, ("a film must end in one of .gif .mkv .mov .mp4 .webm .webp",
                                            "frame-%04d.png")),
    Row("photo.jpg dream.avi --zoom 3", 2, ("a film must end in one of",)),
    Row("photo.jpg dream.gif --zoom 0", 2, ("zoom: '0'",)),
    Row("photo.jpg dream.gif --zoom 3 --fps 500", 2, ("fps: '500'", "at most 120")),
    Row("photo.jpg dream.gif --zoom 3 --pan 5", 2, ("pan: '5'", "X,Y")),
    Row("photo.jpg dream-%d-%d.png --zoom 3", 2, ("use %d only once",)),
    Row("photo.jpg dream-%04d.gif --zoom 3", 2, ("must end in one of", ".png")),

    # options without effect
    Row(f"photo.jpg dream.png {SHORT} --fps 5", 0, ("--fps has no effect because OUTPUT is not a film",)),
    Row(f"photo.jpg dream.gif {SHORT} --pan 0,0.1 --rotate 5", 0, ("--rotate and --pan have no effect", "--zoom")),
    Row(f"photo.jpg dream.png {SHORT} --guide-size 99 --flow --blend 1", 0,
        ("--flow and --blend have no effect", "--guide-size has no effect without --guide"), 2),

    # commands, and the program's own name
    Row("help", 0, ("usage: dreamify.py [options] INPUT OUTPUT",), 0),
    Row("help atlas", 0, ("usage: dreamify.py atlas",), 0),
    Row("version", 0, ("image-dreamer",), 0),
    Row("list", 0, ("inception_4c/output",), 0),
    Row("layers", 0, ("inception_4c/output",), 0),
    Row("layer", 0, ("inception_4c/output",), 0),
    Row("KEY --describe", 0, ("the classic: animals",), 0),
    Row("looks", 0, ("eyes", "inception_4b/pool"), 0),
    Row("model", 0, ("bvlc_googlenet", "daydream"), 0),
    Row("./dreamify.py", 0, ("usage:",), 0),
    Row("./dreamify.py keys --looks", 0, ("eyes",), 0),
    Row("dreamify.py photo.jpg", 2, ("output: name the file",)),
    Row("keys eyes", 2, ("has 'eyes' in its name; add --looks",)),
    Row("keys eyes --looks", 0, ("inception_4b/pool",), 0),
    Row("keys 4c 4d", 2, ("too many arguments: 4d",)),
    Row("keys --classes zebra-striped", 2, ("no class of bvlc_googlenet has 'zebra-striped'",)),
    Row("photo.jpg dream.png class:flamngo", 2, ("did you mean class:flamingo?",)),
    Row("photo.jpg dream.png class:shark", 2, ("fits 3 classes", "class:tiger shark")),
    Row("photo.jpg dream.png flamingo", 2, ("class:flamingo",)),
    Row("photo.jpg dream.png class: flamingo", 2, ("class:NAME",), 2),
    Row("photo.jpg dream.png class:lion --guide photo2.jpg", 2, ("says already what to dream",)),
    Row("photo.jpg dream.png 4c:strongest", 2, ("strongest5",)),
    Row("recipe photo.jpg", 2, ("photo.jpg has no recipe",)),
    Row("recipe nothing.jpg", 2, ("no such file: nothing.jpg",)),
    Row("recipe photo.jpg photo2.jpg", 2, ("too many arguments: photo2.jpg",)),
    Row("doctor", 0, ("Caffe", "memory", "a dream       works"), 0),
    Row("info", 0, ("Caffe", "memory", "a dream       works"), 0),
    Row("check", 0, ("a dream       works",), 0),
    Row("diagnose", 0, ("a dream       works",), 0),
    Row("--doctor", 0, ("a dream       works",), 0),
    Row("photo.jpg dream.png --check", 2, ("the command doctor has no dashes",)),
    Row("doctor photo.jpg", 2, ("too many arguments: photo.jpg",)),
    Row("man", 0, (".TH DREAMIFY 1",), 0),
    Row("--man", 0, (".TH DREAMIFY 1",), 0),
    Row("photo.jpg dream.png --man", 2, ("the command manpage has no dashes",)),
    Row("completion", 2, ("completion: SHELL is missing",)),
    Row("completions bash", 0, ("complete -F _dreamify",), 0),
    Row("completion tcsh", 2, ("completion: 'tcsh' is not a shell that can complete", "bash, zsh, fish")),
    Row("completion names --model vgg", 2, ("no model 'vgg'",)),
    Row("photo.jpg dream.png --request", 2, ("--request - alone",)),
    Row("photo.jpg dream.png --cluster local", 2, ("did you mean --farm?",)),
    Row("photo.jpg dream.png --workers 4", 2, ("did you mean --farm?",)),
    Row("photo.jpg dream.png --farm ftp://here", 2, ("'ftp://here' is not the address of a farm's scheduler",)),
    Row("photo.jpg dream.png --farm tls://here:99999", 2, ("is not the address",)),
    Row("photos dreams --farm local --preview p.png", 2, ("no preview of several pictures; leave out --preview",)),
    Row("studio photos --farm ftp://here", 2, ("'ftp://here' is not the address of a farm's scheduler",)),
    Row("photo.jpg - --farm local", 2, ("INPUT and OUTPUT must be files",)),
    Row("farm", 2, ("name one of keys, scheduler, worker, status",)),
    Row("cluster start", 2, ("start is not one of keys, scheduler, worker, status",)),
    Row("farm worker", 2, ("worker needs the address of a scheduler",)),
    Row("farm status local", 2, ("status needs the address of a scheduler",)),
    Row("farm scheduler 192.168.1.5", 2, ("--bind 192.168.1.5",)),
    Row("farm worker here --port 5", 2, ("only farm scheduler takes --port",)),
    Row("farm keys photos", 2, ("photos is not empty",)),
]
