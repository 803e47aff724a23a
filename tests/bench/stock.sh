#!/bin/bash
# stock.sh FOLDER: builds Caffe as the original box had it, in FOLDER, for speed.py to compare with. Only the patches
# that make it compile today are applied. A second run finds it done.
set -Eeuo pipefail
[ $# = 1 ] || { echo "usage: stock.sh FOLDER" >&2 && exit 2; }
mkdir -p "$1"
DREAMER_PREFIX=$(cd "$1" && pwd)
export DREAMER_PREFIX
# shellcheck source=/dev/null
. "$(dirname "${BASH_SOURCE[0]}")/../../provision.sh"

prefix=$DREAMER_PREFIX
mkdir -p "$prefix/native/patches" "$prefix/log"
cp "$here"/native/patches/0[1-3]-*.patch "$prefix/native/patches/"
here=$prefix # whose native/ is that one
python_finds_caffe() { :; } # the machine's own Caffe stays the one that Python finds
export PYTHONPATH=$prefix/python PATH=/usr/sbin:/usr/bin:/sbin:/bin
export learn_nothing= # the description too is the one of 2015
export log=$prefix/log/stock.log cache=false # .cache/ holds builds of our own Caffe
distribution
step_caffe
