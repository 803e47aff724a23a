#!/bin/sh
# usage: run_caffe.sh TREE [BUILD]
# Builds and runs Caffe's own tests of the layers that native/ changes, with
# their gradient checks, on a patched tree. BUILD is the folder to build in.
# Only the tests named here are built.
set -eu
tree=$(cd "$1" && pwd)
build=${2:-$tree/build-tests}
tests=convolution_layer,pooling_layer,lrn_layer,neuron_layer,concat_layer
tests=$tests,split_layer,net,im2col_layer,syncedmem,blob,deconvolution_layer
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH GLOG_minloglevel=2
mkdir -p "$build"
cd "$build"
cmake "$tree" -DCPU_ONLY=ON -DBUILD_docs=OFF -DBUILD_matlab=OFF \
  -DBUILD_python=OFF -DUSE_OPENCV=OFF -DUSE_LEVELDB=OFF -DUSE_LMDB=OFF \
  -DUSE_HDF5=OFF -DBLAS=Open -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_POLICY_VERSION_MINIMUM=3.5 \
  "-DBUILD_only_tests=$tests" >/dev/null
make -j"${JOBS:-$(nproc)}" test.testbin
./test/test.testbin --gtest_filter='-*GPU*:*Deprecated*'
