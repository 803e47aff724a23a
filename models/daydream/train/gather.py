"""Puts the training pictures of some folders into one file.

$ python gather.py FOLDER... pictures.pt
"""

import sys

import torch

from pictures import Pictures, find

if __name__ == "__main__":
    files = find(sys.argv[1:-1])
    taken = Pictures(files)
    print(len(files), "files,", len(taken.pyramids), "pictures taken")
    torch.save(taken, sys.argv[-1], pickle_protocol=4)
