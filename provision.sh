#!/bin/bash
# Prepares a machine, virtual machine or container for dreaming: installs system packages, Caffe and a model, and dreams
# a small picture. See "./provision.sh --help". A second run skips what is done.
set -Eeuo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${DREAMER_PREFIX:-/opt/image-dreamer}
logs=$prefix/log
build=$prefix/build
swap=$prefix/swap # a file, only while the build needs more memory
shares=/usr/local/share # where shells and man look for what the distribution does not bring
compiler=1300     # the most memory that one compiler takes, in MB
pins=$here/dreamer/machine/finished.txt # written by dreamer/machine/release.sh

# Caffe of 2018-08-21, the last change upstream. The tree must be the same from every source: this is the checksum of
# its files' checksums, sorted by name, without the distribution's own folder debian/.
caffe_git=${CAFFE_GIT:-https://github.com/BVLC/caffe.git}
caffe_commit=${CAFFE_COMMIT:-99bd99795dcdf0b1d3086a8d67ab1782a8a08383}
caffe_sha256=40e059ef5413038c0efa9460777fb94fabca35676804d6409491a49e909849a5

usage() {
  cat <<HELP
usage: ./provision.sh [--dev] [--no-cache] [STEP…]

Steps, run in the order given (default: runtime caffe model shells check):
  runtime    install the system packages for dreaming
  toolchain  install the system packages for building Caffe (the step caffe does this itself if it must build)
  caffe      download, verify, patch and build Caffe; install it in $prefix
  model      download the weights of bvlc_googlenet into models/; with "model NAME", those of the model NAME
  shells     install completion for bash, zsh and fish, and the man page, in /usr/local/share
  check      dream a small picture
  film       install ffmpeg and OpenCV (about 1.1 GB), for films in .mp4, videos and --flow
  raw        install LibRaw's programs (about 5 MB), which develop raw photos
  farm       install python3-distributed (about 30 MB), with which many machines dream together

  --dev      also install what the tests need
  --no-cache do not use or fill .cache/, where finished builds of Caffe are saved
  --help     show this text

Environment:
  CAFFE_SOURCE    folder or archive with Caffe's source, used instead of a download
  BVLC_GOOGLENET  weights file of bvlc_googlenet, used instead of a download
  DREAMER_PREFIX  folder for Caffe (default: /opt/image-dreamer)
  DREAMER_RELEASE URL or folder with a release's finished Caffe, taken if its checksum is the recorded one (default: the
                  releases of this clone's origin); empty: always compile
HELP
}

say() { printf '==> %s\n' "$*"; }

die() {
  printf 'provision.sh: %s\n' "$*" >&2
  exit 1
}

# logged WORDS COMMAND…: runs a command with its output in the step's log; if it fails, shows the end of the log
logged() {
  local words=$1 status=0
  shift
  "$@" >>"$log" 2>&1 || status=$?
  [ "$status" = 0 ] && return
  printf 'provision.sh: %s failed (exit code %d). The last lines of %s:\n' "$words" "$status" "$log" >&2
  tail -n 15 "$log" | sed 's/^/    /' >&2
  exit 1
}

# ---------------------------------------------------------------------------------------- system packages

# All differences between the distributions.
distribution() {
  # shellcheck source=/dev/null
  . "${OS_RELEASE:-/etc/os-release}"
  extra=()
  pictures=(libheif-examples libjxl-tools) # decode HEIC, AVIF and JPEG XL
  encoders=()
  case "${ID:-} ${VERSION_ID:-}" in
    'debian 12') archive=(Debian bullseye main debian-archive-keyring) ;;
    'debian 13')
      archive=(Debian bullseye main debian-archive-keyring)
      encoders=(libheif-plugin-x265) # for HEIC pictures that tests make; Debian 12 has it in libheif
      ;;
    'ubuntu 22.04')
      archive=(Ubuntu focal universe ubuntu-archive-keyring)
      extra=(python3-tomli) # Python 3.10 has no tomllib
      pictures=(libheif-examples) # it has no JPEG XL
      ;;
    'ubuntu 24.04') archive=(Ubuntu focal universe ubuntu-archive-keyring) ;;
    *) die "${PRETTY_NAME:-this system} is not supported; Debian 12 and 13 and Ubuntu 22.04 and 24.04 are" ;;
  esac
}

# apt-get, with the options that every call needs
apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@"; }

# Works even if the clock is behind, as in a virtual machine that slept: apt still checks the signatures.
apt_update() {
  apt update && return
  grep -q 'is not valid yet' "$log" && apt -o Acquire::Check-Date=false update
}

# apt_install WHAT PACKAGE…: installs those of the packages that are missing
apt_install() {
  local what=$1 package absent=()
  shift
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || absent+=("$package")
  done
  if [ ${#absent[@]} = 0 ]; then
    say "$what: already installed"
    return
  fi
  say "$what: installing ${#absent[@]} packages"
  logged 'finishing an interrupted installation' dpkg --configure -a
  logged 'apt-get update' apt_update
  logged "installing ${absent[*]}" apt install -y --no-install-recommends "${absent[@]}"
}

step_runtime() {
  local libraries=()
  # A finished Caffe lists the libraries it was linked with, because their names differ between releases
  [ -e "$prefix/packages" ] && mapfile -t libraries <"$prefix/packages"
  apt_install 'packages for dreaming' libopenblas0-pthread python-is-python3 python3 python3-numpy python3-pil \
    python3-protobuf python3-scipy python3-tornado python3-tqdm "${pictures[@]}" "${extra[@]}" "${libraries[@]}"
  if [ -d "$prefix/python" ]; then python_finds_caffe; fi
  if $dev; then
    apt_install 'packages for the tests' git libgtest-dev openssh-client patch procps python3-pytest \
      python3-pytest-xdist python3-venv shellcheck "${encoders[@]}"
    if ! { "$prefix/dev/bin/ruff" --version && "$prefix/dev/bin/mypy" --version &&
      "$prefix/dev/bin/kubernetes-validate" --version; } >>"$log" 2>&1; then
      say 'ruff, mypy and kubernetes-validate: installing with pip'
      logged 'making a Python environment' python3 -m venv "$prefix/dev"
      "$prefix/dev/bin/pip" install -q -r "$here/.ci/requirements.txt" >>"$log" 2>&1 ||
        say "warning: pip cannot install them (see $log); the tests that need them are skipped"
    fi
  fi
}

step_film() {
  apt_install 'packages for films' ffmpeg python3-opencv
}

step_raw() {
  apt_install 'packages for raw photos' libraw-bin
}

step_farm() {
  apt_install 'packages for a farm' python3-cryptography python3-distributed
}

step_toolchain() {
  apt_install 'packages for building Caffe' ca-certificates cmake curl g++ git libboost-filesystem-dev \
    libboost-python-dev libboost-system-dev libboost-thread-dev libgflags-dev libgoogle-glog-dev \
    libopenblas-pthread-dev libprotobuf-dev make patch protobuf-compiler python3-dev python3-numpy
}

# -------------------------------------------------------------------------------------------------- Caffe

flags=(-DCPU_ONLY=ON -DBUILD_docs=OFF -DBUILD_matlab=OFF -DUSE_OPENCV=OFF -DUSE_LEVELDB=OFF -DUSE_LMDB=OFF
  -DUSE_HDF5=OFF -DBLAS=Open -Dpython_version=3 -DCMAKE_BUILD_TYPE=Release -DCMAKE_POLICY_VERSION_MINIMUM=3.5
  -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON "-DCMAKE_INSTALL_PREFIX=$prefix" -DCMAKE_INSTALL_LIBDIR=lib -Wno-dev)

# Applied to Caffe's description of bvlc_googlenet, with which nobody trains here. Without learning rates, other
# people's scripts that dream get no gradients of the weights, and the economical net of native/kernels/economy.hpp.
learn_nothing='s/lr_mult: [0-9.]*/lr_mult: 0/; /^ *decay_mult: [0-9.]*$/d'

# The checksum of everything that the build depends on
caffe_key() {
  (cd "$here/native" && find . -path ./tests -prune -o -type f ! -name "*.md" -print0 | LC_ALL=C sort -z | xargs -0 sha256sum &&
    printf '%s\n' "$caffe_sha256" "${flags[@]}" "$learn_nothing" "${archive[*]}" "$VERSION_ID" && uname -m &&
    python3 --version) | sha256sum | cut -d' ' -f1
}

step_caffe() {
  local key
  key=$(caffe_key)
  if [ "$(cat "$prefix/key" 2>/dev/null)" = "$key" ] && python3 -c 'import caffe' >>"$log" 2>&1; then
    say 'Caffe: already installed'
    return
  fi
  if from_cache "$key" || from_release "$key"; then return; fi
  step_toolchain
  if [ "$(cat "$build/key" 2>/dev/null)" != "$key" ]; then # if equal, continue an earlier run
    rm -rf "$build"
    mkdir -p "$build"
    fetch_caffe "$build/tree"
    prepare_caffe "$build/tree"
    echo "$key" >"$build/key"
  fi
  local began=$SECONDS
  swap_on
  if ! compile_caffe; then # a power cut may leave damaged files: build again from scratch
    rm -rf "$build/out"
    logged 'building Caffe' compile_caffe
  fi
  swap_off
  install_caffe "$key"
  rm -rf "$build"
  say "Caffe: built in $((SECONDS - began)) s, installed in $prefix"
  into_cache "$key"
}

# A finished Caffe is saved as one file in the project's folder. The file outlives a virtual machine, so the next
# machine of the same kind compiles nothing. A release publishes the same file.
cache_file() { echo "$here/.cache/caffe-$ID-$VERSION_ID-$(uname -m)-${1:0:16}.tar.gz"; }

# from_cache KEY: installs Caffe from the cache; fails if the cache has none, or a damaged one
from_cache() {
  local file
  file=$(cache_file "$1")
  if ! $cache || [ ! -f "$file" ]; then return 1; fi
  if ! (cd "${file%/*}" && sha256sum --status --check "${file##*/}.sha256") 2>>"$log"; then
    say "Caffe: .cache/${file##*/} is damaged and is not used"
    return 1
  fi
  install_finished "$file" "$1" || return 1
  say "Caffe: installed in $prefix, from .cache/${file##*/}"
}

# install_finished FILE KEY: installs Caffe from a file that pack made
install_finished() {
  local libraries
  rm -rf "${prefix:?}"/{key,python,lib}
  tar -xzf "$1" -C "$prefix" 2>>"$log" || return 1
  mapfile -t libraries <"$prefix/packages"
  apt_install 'libraries of Caffe' "${libraries[@]}"
  python3 -m compileall -q "$prefix/python"
  python_finds_caffe
  logged 'import caffe' python3 -c 'import caffe'
  echo "$2" >"$prefix/key"
}

# pack FILE: writes the installed Caffe into a file. The same Caffe gives the same bytes everywhere, so that those of a
# release can be pinned: hence without Python's compiled files, and with the time of Caffe's last change.
pack() {
  tar --sort=name --format=gnu --mtime=2018-08-21T00:00:00Z --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw \
    --exclude=__pycache__ -cf - -C "$prefix" lib models/bvlc_googlenet/deploy.prototxt packages python/caffe |
    gzip -9n >"$1"
}

# into_cache KEY: saves the installed Caffe in the cache; a failure is ignored
into_cache() {
  local file
  if ! fills_cache; then return; fi
  file=$(cache_file "$1")
  if { mkdir -p "${file%/*}" && pack "$file.part" && keep "$file.part" "$file"; } >>"$log" 2>&1; then
    say "Caffe: saved for the next machine of this kind in .cache/${file##*/}"
  else
    rm -f "$file.part"
  fi
}

fills_cache() { $cache && [ "${DREAMER_CACHE:-}" != read ]; } # the Dockerfile deletes its .cache/ at once

# keep PART FILE: PART becomes FILE in the cache, with its checksum, for the owner of the project's folder
keep() {
  local owner
  owner=$(stat -c %u:%g "$here")
  mv "$1" "$2" && (cd "${2%/*}" && sha256sum "${2##*/}" >"$2.sha256") || return 1
  chown "$owner" "${2%/*}" "$2" "$2.sha256" || true # a shared folder may refuse it
}

# from_release KEY: installs Caffe from a release. Only a file whose checksum is recorded is asked for, and only the
# recorded bytes are unpacked. Fails within seconds if no release answers.
from_release() {
  local file name pin place why part=$prefix/finished.part
  file=$(cache_file "$1")
  name=${file##*/}
  pin=$(awk -v name="$name" '$2 == name && length($1) == 64 {print $1}' "$pins" 2>>"$log") || true
  if [ -z "$pin" ]; then return 1; fi
  command -v curl >/dev/null || apt_install 'packages for downloads' ca-certificates curl
  while IFS= read -r place; do
    if ! why=$(download "$place/$name" "$part" 2>&1); then
      why=${why##*curl: }
    elif ! echo "$pin  $part" | sha256sum --status --check; then
      why='its checksum is wrong'
    elif ! install_finished "$part" "$1"; then
      why='it cannot be unpacked'
    else
      say "Caffe: installed in $prefix, from $place"
      if fills_cache && ! { mkdir -p "${file%/*}" && cp "$part" "$file.part" && keep "$file.part" "$file"; } 2>>"$log"; then
        rm -f "$file.part"
      fi
      rm -f "$part"
      return
    fi
    say "Caffe: no finished one from $place (${why:-it is too large})"
  done < <(release_places)
  rm -f "$part"
  return 1
}

# download URL FILE: gives up in seconds if nothing comes, tries again after a failure that came fast, and never writes
# more than 50 MB
download() (
  ulimit -f 50000
  case $1 in
    *://*) ;;
    *) exec cp "$1" "$2" ;;
  esac
  exec curl -sSfL --proto '=https,http,file' --proto-redir '=https,http' --connect-timeout 5 --speed-limit 1000 \
    --speed-time 5 --retry 1 --retry-max-time 4 --max-time 600 -o "$2" "$1"
)

# Prints the addresses where a release may have finished Caffes, the first to try first
release_places() {
  local tag='' recorded='' origin=''
  if [ -n "${DREAMER_RELEASE+given}" ]; then
    if [ -n "$DREAMER_RELEASE" ]; then echo "${DREAMER_RELEASE%/}"; fi
    return
  fi
  read -r _ tag recorded < <(grep '^release ' "$pins") || true
  # without git, which a fresh machine lacks
  origin=$(awk '/^\[/ {own = $0 == "[remote \"origin\"]"} own && $1 == "url" {print $3; exit}' \
    "$here/.git/config" 2>/dev/null) || true
  printf '%s\n' "$(release_address "$origin" "$tag")" "$recorded" | awk 'NF && !seen[$0]++'
}

# release_address ORIGIN TAG: prints where the forge of a git remote has the files of its release; nothing if it is no
# forge that we know. What may be a password in ORIGIN is not repeated.
release_address() {
  local forge='^(https://([^/@]*@)?|ssh://git@|git@)(github\.com|codeberg\.org|gitlab\.com)[:/]([A-Za-z0-9._/-]+)$'
  [[ $1 =~ $forge ]] || return 0
  local page="https://${BASH_REMATCH[3]}/${BASH_REMATCH[4]%.git}"
  case ${BASH_REMATCH[3]} in
    gitlab.com) echo "$page/-/releases/$2/downloads" ;;
    *) echo "$page/releases/download/$2" ;;
  esac
}

# fetch_caffe FOLDER: gets Caffe's pinned source, from the first place that has it
fetch_caffe() {
  local origin places=(git distribution)
  if [ -n "${CAFFE_SOURCE:-}" ]; then places=(given "${places[@]}"); fi
  for origin in "${places[@]}"; do
    rm -rf "$1"
    mkdir -p "$1"
    if "source_$origin" "$1"; then
      if [ "$(checksum "$1")" = "$caffe_sha256" ]; then
        say "Caffe: source from $place"
        return
      fi
      why='its checksum is wrong'
    fi
    say "Caffe: no source from $place ($why)"
  done
  die "cannot get Caffe's source; set CAFFE_SOURCE to a folder or archive with it"
}

checksum() {
  (cd "$1" && find . -type f -not -path './debian/*' -not -path './.git/*' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
}

# unpack ARCHIVE FOLDER: unpacks an archive of the tree, or of one folder with the tree in it
unpack() {
  tar -xf "$1" -C "$2" 2>>"$log" || return 1
  local inner=("$2"/*/)
  if [ ! -e "$2/CMakeLists.txt" ] && [ ${#inner[@]} = 1 ]; then
    mv "${inner[0]}" "$2.inner" && rm -rf "$2" && mv "$2.inner" "$2"
  fi
}

source_given() {
  place="CAFFE_SOURCE, $CAFFE_SOURCE"
  why='no such folder or archive'
  if [ -d "$CAFFE_SOURCE" ]; then
    cp -R "$CAFFE_SOURCE/." "$1" 2>>"$log"
    rm -rf "$1/debian" "$1/.git"
  elif [ -f "$CAFFE_SOURCE" ]; then
    why='not an archive'
    unpack "$CAFFE_SOURCE" "$1"
  else
    return 1
  fi
}

source_git() {
  place="git, $caffe_git"
  why='no answer'
  case $caffe_git in # git itself waits for minutes if a connection hangs
    http*) why=$(curl -sSfL --connect-timeout 5 --max-time 15 -o "$build/probe" \
      "$caffe_git/info/refs?service=git-upload-pack" 2>&1) || return 1 ;;
  esac
  why='the commit cannot be fetched'
  git -c init.defaultBranch=main init -q "$1" &&
    timeout 300 git -C "$1" -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=20 -c core.autocrlf=false \
      fetch -q --depth 1 "$caffe_git" "$caffe_commit" >>"$log" 2>&1 &&
    git -C "$1" -c core.autocrlf=false checkout -q FETCH_HEAD >>"$log" 2>&1 &&
    rm -rf "$1/.git"
}

# Debian 11 and Ubuntu 20.04 still have Caffe. apt downloads and verifies it from the machine's mirror, with separate
# lists and state, so that the machine's apt does not change.
source_distribution() {
  local mirror own=$build/apt options
  place="${archive[0]} ${archive[1]}, by apt"
  why='apt has no mirror'
  mirror=$(apt_mirror) || return 1
  place="$mirror ${archive[1]}, by apt"
  why='apt cannot fetch it'
  rm -rf "$own"
  mkdir -p "$own"/{parts,lists/partial,cache/archives/partial}
  echo "deb-src [signed-by=/usr/share/keyrings/${archive[3]}.gpg] $mirror ${archive[1]} ${archive[2]}" \
    >"$own/parts/caffe.list"
  options=(-o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$own/parts" -o "Dir::State::Lists=$own/lists"
    -o "Dir::Cache=$own/cache" -o APT::Sandbox::User=root -o Acquire::http::Timeout=20 -o Acquire::Retries=1
    -o Acquire::Check-Date=false)
  (cd "$own" && apt "${options[@]}" update && apt "${options[@]}" source --download-only caffe) >>"$log" 2>&1 || return 1
  unpack "$own"/caffe_*.orig.tar.gz "$1"
}

# Prints the mirror that this machine's apt uses for the distribution's archive
apt_mirror() {
  local find=(apt-get indextargets --format "\$(SITE)" 'Created-By: Packages' "Label: ${archive[0]}")
  [ -n "$("${find[@]}")" ] || apt_update >>"$log" 2>&1
  "${find[@]}" | head -n 1 | grep .
}

# prepare_caffe TREE: applies our patches, and copies our kernels to where Caffe's build finds them
prepare_caffe() {
  local file
  for file in "$here"/native/patches/*.patch; do
    logged "patching Caffe with ${file##*/}" patch -d "$1" -p1 -F0 -i "$file"
  done
  if [ -d "$here/native/kernels" ]; then
    mkdir -p "$1/include/caffe/native" "$1/src/caffe/native"
    cp "$here"/native/kernels/*.hpp "$1/include/caffe/native/"
    cp "$here"/native/kernels/*.cpp "$1/src/caffe/native/"
  fi
  find "$1" -type f -exec touch -d 2018-08-21 {} + # make compares times, and the clock may be set back meanwhile
}

compile_caffe() {
  local jobs line shown=0 began=$SECONDS
  jobs=$(build_jobs)
  say "Caffe: building with $jobs job(s); this takes about 6 minutes of one core's time"
  mkdir -p "$build/out"
  cmake -S "$build/tree" -B "$build/out" "${flags[@]}" >>"$log" 2>&1 || return 1
  make -C "$build/out" -j "$jobs" pycaffe 2>&1 | while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    if [[ $line =~ ^\[\ *([0-9]+)% ]] && [ "${BASH_REMATCH[1]}" -ge $((shown + 20)) ]; then
      shown=${BASH_REMATCH[1]}
      say "Caffe: $shown % after $((SECONDS - began)) s"
    fi
  done
}

# One job per core, but not more than fit in memory
build_jobs() {
  local cores jobs
  cores=$(nproc)
  jobs=$(($(free_megabytes) / compiler))
  echo $((jobs < 1 ? 1 : jobs < cores ? jobs : cores))
}

# Adds a swap file while Caffe is built, if memory and swap are too small even for one compiler. The kernel may refuse
# it, as in a container or on some file systems.
swap_on() {
  local free lack disk why=
  free=$(($(free_megabytes) + $(swap_megabytes)))
  [ "$free" -lt "$compiler" ] || return 0
  lack=$(((compiler - free + 255) / 256 * 256 + 256)) # with some to spare
  disk=$(df -m --output=avail "$prefix" | tail -n 1)
  if [ "$disk" -lt $((lack + 1000)) ]; then # Caffe's build needs disk too
    why="the disk has $((disk)) MB left, not enough for a swap file"
  elif ! why=$({ fallocate -l "${lack}M" "$swap" && chmod 600 "$swap" && mkswap "$swap" && swapon "$swap"; } 2>&1); then
    why="a swap file cannot be made here: ${why##*: }"
    swap_off
  else
    say "memory: $free MB are free, but a compiler takes up to $compiler: adding a swap file of $lack MB for the build"
    return
  fi
  say "warning: $free MB of memory are free, but a compiler takes up to $compiler; continuing anyway ($why)"
}

# Removes the swap file of this run, or of one that was killed. Tries again, as a killed compiler frees memory late.
swap_off() {
  local _
  [ -e "$swap" ] || return 0
  for _ in 1 2 3 4 5; do
    if ! swap_in_use || swapoff "$swap" 2>>"${log:-/dev/null}"; then
      rm -f "$swap"
      return
    fi
    sleep 1
  done
  say "warning: the swap file $swap is still in use; the next run removes it"
}

swap_in_use() { swapon --noheadings --show=NAME | grep -qxF "$swap"; }

swap_megabytes() { awk '/^SwapFree/ {print int($2 / 1024)}' /proc/meminfo; }

# Prints the free memory of the machine, or of its control group if that has less
free_megabytes() {
  local free limit used group
  free=$(awk '/^MemAvailable/ {print int($2 / 1024)}' /proc/meminfo)
  for group in memory.max:memory.current memory/memory.limit_in_bytes:memory/memory.usage_in_bytes; do
    limit=$(cat "/sys/fs/cgroup/${group%:*}" 2>/dev/null || echo max)
    used=$(cat "/sys/fs/cgroup/${group#*:}" 2>/dev/null || echo 0)
    if [ "$limit" != max ] && [ $(((limit - used) / 1048576)) -lt "$free" ]; then
      free=$(((limit - used) / 1048576))
    fi
  done
  echo "$free"
}

install_caffe() {
  local out=$build/out tree=$build/tree library
  rm -rf "${prefix:?}"/{key,python,lib}
  mkdir -p "$prefix/lib" "$prefix/python" "$prefix/models/bvlc_googlenet"
  cp -R "$tree/python/caffe" "$prefix/python/"
  rm -rf "$prefix/python/caffe"/{_caffe.so,_caffe.cpp,test,imagenet}
  strip --strip-unneeded -o "$prefix/python/caffe/_caffe.so" "$out/lib/_caffe.so"
  for library in "$out"/lib/libcaffe.so.*; do
    strip --strip-unneeded -o "$prefix/lib/${library##*/}" "$library"
  done
  install_description "$tree/models/bvlc_googlenet/deploy.prototxt"
  cp "$tree/LICENSE" "$prefix/lib/LICENSE.caffe"
  python3 -m compileall -q "$prefix/python"
  # Lists the packages of the libraries that Caffe needs, for a machine that gets this folder and builds nothing
  ldd "$prefix/lib/"libcaffe.so.* "$prefix/python/caffe/_caffe.so" | awk '$3 ~ "^/(usr/)?lib" {print $3}' | sort -u |
    xargs readlink -f | sed 's|^/usr||; s|^|*|' | xargs dpkg -S | sed 's/:.*//' | LC_ALL=C sort -u >"$prefix/packages"
  python_finds_caffe
  logged 'import caffe' python3 -c 'import caffe'
  echo "$1" >"$prefix/key"
}

# install_description FILE: installs Caffe's description of bvlc_googlenet; model.toml has the checksum of the result
install_description() { sed "$learn_nothing" "$1" >"$prefix/models/bvlc_googlenet/deploy.prototxt"; }

# A .pth file among the distribution's own packages makes `import caffe` work for all users
python_finds_caffe() {
  local folder
  folder=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  mkdir -p "$folder"
  echo "$prefix/python" >"$folder/image-dreamer.pth"
}

# Links beside Caffe make `import dreamify` work in every folder. They point to the clone that was provisioned last.
python_finds_dreamify() {
  if [ -d "$prefix/python" ]; then ln -sfn "$here/dreamify.py" "$here/dreamer" "$prefix/python/"; fi
}

# -------------------------------------------------------------------------------------- model and check

step_model() {
  local status=0
  command -v curl >/dev/null || apt_install 'packages for downloads' ca-certificates curl
  PYTHONPATH=$here python3 -m dreamer.nets.fetch "$model" || status=$?
  case $status,$model in
    0,*) ;;
    1,bvlc_googlenet) say 'warning: without these weights, dreams use daydream, the small net in this repository' ;;
    *) exit "$status" ;;
  esac
}

step_check() {
  local folder
  folder=$(mktemp -d)
  python3 - "$folder/small.png" <<'PYTHON'
import sys
import numpy
from PIL import Image
y, x = numpy.mgrid[:96, :128]
Image.fromarray(numpy.uint8(numpy.stack((x * 2, y * 2, (x ^ y) * 2), -1))).save(sys.argv[1])
PYTHON
  logged 'a small dream' python3 "$here/dreamify.py" "$folder/small.png" "$folder/dream.png" inception_4c/output 1 1 \
    --force # the container's own folder will do
  rm -rf "$folder"
  say 'check: dreamed a small picture, all is well'
  sed -n 's/^dreamify: warning: /==> warning: /p' "$log"
  PYTHONPATH=$here python3 -c 'from dreamer.machine import here; print("==> Now try:", here.command("photo.jpg dream.png"))'
}

# ---------------------------------------------------------------------- completion, and the man page

# Completion works for dreamify, for ./dreamify.py, and in zsh for python dreamify.py. It asks this clone for the layers.
step_shells() {
  local changed=false
  share bash-completion/completions/dreamify completion bash
  share zsh/site-functions/_dreamify completion zsh
  share fish/vendor_completions.d/dreamify.fish completion fish
  share man/man1/dreamify.1 manpage
  # bash looks for a file with the command's name; fish does too, but only for commands in PATH
  ln -sf dreamify "$shares/bash-completion/completions/dreamify.py"
  mkdir -p "$shares/fish/vendor_conf.d"
  echo "status is-interactive; and source $shares/fish/vendor_completions.d/dreamify.fish" \
    >"$shares/fish/vendor_conf.d/dreamify.fish"
  if $changed; then
    say "completion and the man page: installed in $shares"
  else
    say 'completion and the man page: already installed'
  fi
}

# share FILE WORD…: puts what dreamify.py prints for these words into a file, whole or not at all
share() {
  local file=$shares/$1
  shift
  mkdir -p "${file%/*}"
  python3 "$here/dreamify.py" "$@" >"$file.part" 2>>"$log" || {
    rm -f "$file.part"
    die "dreamify.py $* failed; see $log"
  }
  if cmp -s "$file.part" "$file"; then
    rm "$file.part"
  else
    mv "$file.part" "$file"
    changed=true
  fi
}

# ---------------------------------------------------------------------------------------------------- main

main() {
  dev=false
  cache=true
  steps=()
  model=bvlc_googlenet
  local before=
  for word in "$@"; do
    case $before,$word in
      *,--dev) dev=true ;;
      *,--no-cache) cache=false ;;
      *,-h | *,--help) usage && exit ;;
      *,runtime | *,toolchain | *,caffe | *,model | *,shells | *,check | *,film | *,raw | *,farm) steps+=("$word") ;;
      model,[!-]*) model=$word ;;
      *) printf 'provision.sh: unknown step or option: %s\n\n' "$word" >&2 && usage >&2 && exit 2 ;;
    esac
    before=$word
  done
  [ ${#steps[@]} -gt 0 ] || steps=(runtime caffe model shells check)

  distribution
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die 'run this as root (sudo is not installed)'
    exec sudo --preserve-env=BVLC_GOOGLENET,CAFFE_COMMIT,CAFFE_GIT,CAFFE_SOURCE,DREAMER_CACHE,DREAMER_PLACE,DREAMER_PREFIX,DREAMER_RELEASE,OS_RELEASE \
      bash "$here/provision.sh" "$@"
  fi

  export PATH=/usr/sbin:/usr/bin:/sbin:/bin # a pyenv or conda in PATH would mislead CMake
  unset PYTHONPATH PYTHONHOME
  export PYTHONDONTWRITEBYTECODE=1
  mkdir -p "$logs"
  exec 9>"$prefix/lock"
  flock -n 9 || die "another provision.sh is running in $prefix"
  swap_off # of a run that was killed
  trap 'trap "" HUP INT TERM; swap_off' EXIT # a second Ctrl-C does not stop swap_off
  trap 'printf "provision.sh: step %s failed (line %d); its log is %s\n" "$step" "$LINENO" "$log" >&2' ERR
  for step in "${steps[@]}"; do
    log=$logs/$step.log
    : >"$log"
    "step_$step"
  done
  python_finds_dreamify
}

# The tests source this file to call its functions. bash reads the block below to its end before it runs main, because
# the file may be replaced meanwhile.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
  exit
fi
