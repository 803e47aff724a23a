#!/bin/sh
# usage: run.sh [BUILD]
# Builds our kernels alone, with warnings as errors, and tests them with every
# instruction set of this machine. Needs g++ and Debian's libgtest-dev.
#
# To test for another machine, use a cross compiler and an emulator:
#   CXX=aarch64-linux-gnu-g++ EMULATOR=qemu-aarch64 run.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$(mktemp -d)}
gtest=/usr/src/googletest/googletest # source, from libgtest-dev
mkdir -p "$build/include/caffe"
ln -sfn "$here/../kernels" "$build/include/caffe/native"
cd "$build"
for source in "$here"/../kernels/*.cpp "$here"/test_kernels.cpp; do
  name=$(basename "$source" .cpp)
  [ "$name" = economy ] && continue  # needs Caffe: test_economy.py tests it
  ${CXX:-g++} -std=c++14 -O3 -ffp-contract=off -fPIC -Wall -Wextra -Werror \
    -Iinclude ${EMULATOR:+-I$gtest/include} -c "$source" -o "$name.o"
done
if [ -n "${EMULATOR:-}" ]; then
  $CXX -std=c++14 -O2 -I$gtest -I$gtest/include \
    $gtest/src/gtest-all.cc $gtest/src/gtest_main.cc ./*.o \
    -o test_kernels -static -lpthread
  $EMULATOR ./test_kernels
  exit
fi
${CXX:-g++} ./*.o -o test_kernels -lgtest -lgtest_main -lpthread
for isa in baseline avx2 avx512; do
  echo "== $isa"
  NATIVE_ISA=$isa ./test_kernels
done
