#!/bin/sh
# usage: run.sh [BUILD]
# Builds our kernels alone, warnings being errors, and tests them with every
# instruction set that this machine has. Wants g++ and Debian's libgtest-dev.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$(mktemp -d)}
mkdir -p "$build/include/caffe"
ln -sfn "$here/../kernels" "$build/include/caffe/native"
cd "$build"
for source in "$here"/../kernels/*.cpp "$here"/test_kernels.cpp; do
  name=$(basename "$source" .cpp)
  [ "$name" = economy ] && continue  # wants Caffe: tested through pycaffe
  ${CXX:-g++} -std=c++14 -O3 -ffp-contract=off -fPIC -Wall -Wextra -Werror \
    -Iinclude -c "$source" -o "$name.o"
done
${CXX:-g++} ./*.o -o test_kernels -lgtest -lgtest_main -lpthread
for isa in baseline avx2 avx512; do
  echo "== $isa"
  NATIVE_ISA=$isa ./test_kernels
done
