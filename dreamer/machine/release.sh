#!/bin/bash
# Makes what a release consists of, step by step. The workflow .github/workflows/release.yml calls these steps, and so
# can everybody with a Docker engine. See "dreamer/machine/release.sh --help".
set -Eeuo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=/dev/null
. "$root/provision.sh" # for release_address, and its checksums: what is taken from a release is defined there
: "${pins:?}" "${caffe_commit:?}"
dist=${DREAMER_DIST:-$root/dist}
limit=375 # the most that the image without films may have, in MB
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/dreamer/__init__.py")
origin=${DREAMER_ORIGIN:-$(git -C "$root" remote get-url origin 2>/dev/null || true)}
platform=() # for docker, if another processor is asked for
bases='debian:bookworm-slim debian:trixie-slim ubuntu:22.04 ubuntu:24.04'
case $machine in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$machine ;;
esac
if [ "$arch ${DREAMER_ARCH:-$arch}" = 'amd64 arm64' ]; then
  arch=arm64
  machine=aarch64
  platform=(--platform linux/arm64)
  bases='debian:bookworm-slim debian:trixie-slim' # Ubuntu keeps arm64's packages on other servers
fi
bases=${DREAMER_BASES:-$bases}

usage() {
  cat <<'HELP'
usage: dreamer/machine/release.sh STEP…

Makes the files of a release in dist/, for this machine's processor or, with DREAMER_ARCH=arm64, for arm64 on x86-64.
The steps, in their usual order:
  caffe      build Caffe on each distribution, in containers
  boxes      make the boxes for Vagrant (only on x86-64)
  pins       record the address of the release and the sha256 of what was built in dreamer/machine/finished.txt; then
             commit this file and make the tag
  verify     check that what was built has the recorded sha256, byte for byte
  images     build the images without and with films, dream in them, and check their size
  source     pack the source of the last commit
  sbom       write the list of packages (SPDX) of all that was built
  complete   check that all files of the release are there, for all processors
  sums       write SHA256SUMS
  notes      write notes.md, with the line that pulls the image
  push       push the images to the registry, each with the name of this processor
  join       make one image for all processors of those that were pushed; write their digests to digests.txt
  names      print the names of the files that a release has
  pull-line  print the line that pulls the image
  all        caffe boxes verify images source sbom sums notes: all that needs no account

Environment:
  DREAMER_ARCH       arm64: on x86-64, cross-compile Caffe for arm64 (on Debian), and build and try arm64's image without
                     films in an emulator. The workflow has a machine with arm64; what is pinned comes from there.
  DREAMER_DIST       folder for the files (default: dist/ in the project's folder)
  DREAMER_BASES      images of the distributions to build Caffe on, separated by spaces
  DREAMER_BASE       image to build the images on (default: the one that the Dockerfile names)
  DREAMER_ORIGIN     address of the repository (default: the origin of this clone)
  DREAMER_REGISTRY   name of the image in a registry (default: the registry of the repository's forge)
  DREAMER_INSECURE   if set, join speaks to a registry without TLS, as on this machine
  CAFFE_SOURCE       archive with Caffe's source, used instead of a download
HELP
}

die() {
  printf 'release.sh: %s\n' "$*" >&2
  exit 1
}

# ------------------------------------------------------------------------------------------------- files

packages() { echo "$dist/.packages/$1"; } # where a build leaves the list that sbom needs

query="\${binary:Package}\t\${Version}\t\${Architecture}\n" # of such a list

# Caffe as users build it: provision.sh in a bare container
step_caffe() {
  local base given=() steps='runtime caffe' of=
  if is_foreign; then steps=cross of=:arm64; fi
  if [ -n "${CAFFE_SOURCE:-}" ]; then
    given=(--volume "$(realpath "$CAFFE_SOURCE"):/caffe:ro" --env CAFFE_SOURCE=/caffe)
  fi
  rm -f "$dist"/{,.packages/}caffe-*-"$machine"-*
  for base in $bases; do
    say "Caffe on $base"
    # shellcheck disable=SC2016 # the container's own variables
    tar -c -C "$root" provision.sh native dreamer/machine/finished.txt |
      docker run --rm --interactive --volume "$dist:/dist" "${given[@]}" --env DREAMER_RELEASE= --env query="$query" \
        --env steps="$steps" --env of="$of" --env owner="$(stat -c %u:%g "$dist")" "$base" bash -euc '
          mkdir /clone && cd /clone && tar -x
          bash provision.sh $steps
          cp .cache/caffe-*.tar.gz /dist/
          cd .cache && name=$(echo *.gz)
          dpkg-query -W -f "$query" $(tar -xzOf "$name" packages | sed "s/\$/$of/") >"/dist/.packages/$name"
          chown "$owner" "/dist/$name" "/dist/.packages/$name"' || die "no Caffe could be built on $base"
  done
}

is_foreign() { [ ${#platform[@]} != 0 ]; }

step_boxes() {
  local provider box time
  time=${SOURCE_DATE_EPOCH:-$(if is_pinned; then recorded time; else date +%s; fi)}
  if [ "$arch" != amd64 ]; then
    say 'boxes: made on x86-64 only'
    return
  fi
  echo "$time" >"$dist/time"
  docker build --target box --tag image-dreamer:box "${base[@]}" "$root"
  for provider in libvirt virtualbox; do
    box=image-dreamer-$provider.box
    docker run --rm --volume "$root:/vagrant:ro" --volume "$dist:/dist" --env SOURCE_DATE_EPOCH="$time" \
      ${DREAMER_MIRROR:+--env "DREAMER_MIRROR=$DREAMER_MIRROR"} image-dreamer:box "$provider" "/dist/$box"
    docker run --rm --volume "$dist:/dist:ro" --entrypoint bash image-dreamer:box -euc "
      cd /tmp && tar -xf /dist/$box && qemu-img convert -O raw box*.* disk
      mkdir status && debugfs -R 'cat /var/lib/dpkg/status' 'disk?offset=$((65 * 1048576))' >status/status 2>/dev/null
      dpkg-query --admindir=status -W -f '$query'" >"$(packages "$box")"
  done
}

step_source() {
  clean
  git -C "$root" archive --prefix="image-dreamer-$version/" HEAD | gzip -9n >"$dist/image-dreamer-$version.tar.gz"
  printf 'caffe\t%s\tsource\n' "$caffe_commit" >"$(packages "image-dreamer-$version.tar.gz")"
}

clean() {
  [ -z "$(git -C "$root" status --porcelain)" ] ||
    die 'this folder differs from the last commit: commit or stash it first'
}

# ------------------------------------------------------------------------------------------------- pins

# recorded WORD: the rest of the line that begins with WORD, in the file that pins writes
recorded() { sed -n "s/^$1 //p" "$pins"; }

is_pinned() { [ "$(recorded release | cut -d' ' -f1)" = "v$version" ]; }

# The built files that finished.txt lists
pinned_files() {
  (cd "$dist" && find . -maxdepth 1 '(' -name 'caffe-*.tar.gz' -o -name '*.box' ')' -printf '%P\n' | LC_ALL=C sort)
}

# Keeps the lines of other processors, which another machine built
step_pins() {
  local address kept name time
  ! is_foreign || die "a Caffe that was cross-compiled may differ from the workflow's: copy the lines for arm64 from" \
    "the workflow's summary"
  address=$(release_address "$origin" "v$version")
  time=$(cat "$dist/time" 2>/dev/null || recorded time)
  kept=$(grep -E '^[0-9a-f]{64}  ' "$pins" || true)
  for name in $(pinned_files); do
    kept=$(grep -vF "  ${name%-*.tar.gz}" <<<"$kept" || true) # with another key too
  done
  {
    sed '/^[^#]/d; s/; nothing is released yet//' "$pins"
    echo "release v$version${address:+ $address}"
    if [ -n "$time" ]; then echo "time $time"; fi
    { printf '%s\n' "$kept"; (cd "$dist" && pinned_files | xargs -r sha256sum); } | grep . | LC_ALL=C sort -k 2
  } >"$pins.part"
  mv "$pins.part" "$pins"
  say "recorded in ${pins#"$root/"}; commit it, then: git tag v$version"
}

step_verify() {
  local name wrong=() mine
  mine=$(pinned_files)
  [ -n "$mine" ] || die "$dist has neither a Caffe nor a box: run the steps caffe and boxes first"
  is_pinned || die "${pins#"$root/"} is not for v$version: run the steps caffe, boxes and pins, and commit it before" \
    "the tag"
  for name in $mine; do
    grep -qxF "$(cd "$dist" && sha256sum "$name")" "$pins" || wrong+=("$name")
  done
  [ ${#wrong[@]} = 0 ] || die "these are not the recorded bytes: ${wrong[*]}. If the distribution has new packages" \
    "since, run: SOURCE_DATE_EPOCH=\$(date +%s) ${0##*/} caffe boxes pins; commit, and make the tag again"
  for name in $(this_processor <<<"$(pinned_names)"); do [ -e "$dist/$name" ] || wrong+=("$name"); done
  [ ${#wrong[@]} = 0 ] || die "these are recorded, but were not built: ${wrong[*]}"
  say "verified: $(wc -l <<<"$mine") files have the recorded bytes"
}

pinned_names() { sed -nE 's/^[0-9a-f]{64}  //p' "$pins"; }

this_processor() { if [ "$arch" = amd64 ]; then grep -E "x86_64|\.box$"; else grep "$machine"; fi || true; }

# ------------------------------------------------------------------------------------------------ images

image() { echo "image-dreamer:$version-$1${2:+-$2}"; } # image PROCESSOR [EXTRA]

step_images() {
  local extra extras=('' film) name folder size finished why
  if is_foreign; then extras=(''); fi # the workflow does not emulate, and makes both
  if is_foreign && ! why=$(docker run --rm "${platform[@]}" "$base_name" true 2>&1); then
    die "this machine runs no containers for arm64 (${why##*$'\n'}): apt-get install qemu-user-static binfmt-support"
  fi
  finished=$(echo "$dist"/caffe-debian-13-"$machine"-*.gz)
  if [ -e "$finished" ]; then # the verified bytes, not another build's
    mkdir -p "$root/.cache"
    cp "$finished" "$root/.cache/"
    (cd "$root/.cache" && sha256sum "${finished##*/}" >"${finished##*/}.sha256")
  fi
  folder=$(mktemp -d)
  chmod 755 "$folder"
  cp "$root/tests/pictures/raccoon.jpg" "$folder/photo.jpg"
  for extra in "${extras[@]}"; do
    name=$(image "$arch" "$extra")
    docker build "${platform[@]}" --tag "$name" "${base[@]}" --build-arg EXTRA="$extra" --build-arg DREAMER_RELEASE= \
      "$root"
    dream "$name" photo.jpg dream.jpg inception_4c/output 2 2 --max-size 320
    [[ $(dream "$name" recipe dream.jpg) == *'"model": "bvlc_googlenet"'* ]] ||
      die "$name lacks the weights of bvlc_googlenet: put them into models/bvlc_googlenet, or build again"
    if [ "$extra" = film ]; then dream "$name" photo.jpg dream.mp4 inception_3b/output 1 1 --zoom 2 --max-size 160; fi
    size=$(($(docker image inspect --format '{{.Size}}' "$name") / 1000000))
    say "image $name: $size MB"
    [ -n "$extra" ] || [ "$size" -le "$limit" ] || die "$name has $size MB; $limit are allowed"
    docker run --rm "${platform[@]}" --entrypoint dpkg-query "$name" -W -f "$query" \
      >"$(packages "$(image_file "$arch" "$extra")")"
  done
  rm -r "$folder"
}

dream() { docker run --rm "${platform[@]}" --network none --volume "$folder:/vagrant" "$@"; }

image_file() { echo "image-dreamer-$version-$1${2:+-$2}.image"; } # names the image where only files have names

registry() {
  local page
  page=$(release_address "$origin" x | sed -E 's#/(-/)?releases/.*##; s#^https://##' | tr '[:upper:]' '[:lower:]')
  case ${DREAMER_REGISTRY:-$page} in
    github.com/*) echo "ghcr.io/${page#*/}" ;;
    gitlab.com/*) echo "registry.$page" ;;
    '') die 'which registry? This clone has no origin at a forge that we know: set DREAMER_REGISTRY' ;;
    *) echo "${DREAMER_REGISTRY:-$page}" ;;
  esac
}

step_push() {
  local extra name
  name=$(registry)
  for extra in '' film; do
    docker tag "$(image "$arch" "$extra")" "$name:$version-$arch${extra:+-$extra}"
    docker push "$name:$version-$arch${extra:+-$extra}"
  done
}

# Writes digests.txt in the form NAME=VALUE, as the workflow's next steps want it
step_join() {
  local extra name tag processor parts digest
  name=$(registry)
  echo "name=$name" >"$dist/digests.txt"
  for extra in '' film; do
    parts=()
    for processor in amd64 arm64; do parts+=("$name:$version-$processor${extra:+-$extra}"); done
    for tag in "$version${extra:+-$extra}" "${extra:-latest}"; do
      docker manifest rm "$name:$tag" >/dev/null 2>&1 || true # left by an earlier try
      docker manifest create ${DREAMER_INSECURE:+--insecure} "$name:$tag" "${parts[@]}"
      digest=$(docker manifest push ${DREAMER_INSECURE:+--insecure} "$name:$tag" | tail -n 1)
      say "$name:$tag is $digest"
    done
    echo "${extra:-plain}=$digest" >>"$dist/digests.txt"
  done
}

step_pull-line() {
  local name
  name=$(registry)
  echo "docker pull $name:$version && docker tag $name:$version image-dreamer"
}

# ---------------------------------------------------------------------------------------------- the rest

step_sbom() {
  local list
  for list in "$dist"/.packages/*; do
    [ -e "$list" ] || die 'nothing was built yet: run the steps caffe, boxes, images or source first'
    (cd "$root" && python3 -m dreamer.machine.spdx "${list##*/}" "$version") <"$list" >"$dist/${list##*/}.spdx.json"
  done
}

step_names() {
  local name processor
  name=$(pinned_names)
  for name in $name "image-dreamer-$version.tar.gz"; do printf '%s\n' "$name" "$name.spdx.json"; done
  for processor in amd64 arm64; do
    for name in "$(image_file "$processor")" "$(image_file "$processor" film)"; do echo "$name.spdx.json"; done
  done
}

step_complete() {
  local name absent=()
  for name in $(step_names); do [ -s "$dist/$name" ] || absent+=("$name"); done
  for name in {x86_64,aarch64}; do pinned_names | grep -q "^caffe-.*$name" || absent+=("a Caffe for $name"); done
  [ ${#absent[@]} = 0 ] || die "the release is not complete; these are absent: ${absent[*]}"
}

step_sums() {
  (cd "$dist" && find . -maxdepth 1 '(' -name '*.gz' -o -name '*.box' -o -name '*.spdx.json' ')' -printf '%P\n' |
    LC_ALL=C sort | xargs -r sha256sum >SHA256SUMS.part && mv SHA256SUMS.part SHA256SUMS && cut -c67- SHA256SUMS |
    xargs -r -d '\n' stat -c '%11s  %n')
}

step_notes() {
  local line
  line=$(step_pull-line)
  cat >"$dist/notes.md" <<NOTES
A finished image, without compiling (\`-film\` at the end of its name adds films):

    $line

\`./provision.sh\` and \`vagrant up\` in a clone of this version download the files below themselves, and check them. To
check one by hand: \`sha256sum --check --ignore-missing SHA256SUMS\`.
NOTES
}

step_all() {
  local step
  for step in caffe boxes verify images source sbom sums notes; do "step_$step"; done
}

main() {
  local step
  case " ${*:---help} " in *' --help '* | *' -h '*) usage && exit ;; esac
  for step in "$@"; do
    if [[ " $known " != *" $step "* ]]; then
      printf 'release.sh: unknown step: %s\n\n' "$step" >&2 && usage >&2 && exit 2
    fi
  done
  [ -n "$version" ] || die 'dreamer/__init__.py names no version'
  [ "${DREAMER_ARCH:-$arch}" = "$arch" ] || die "DREAMER_ARCH is arm64, on x86-64, or empty; not $DREAMER_ARCH"
  base_name=${DREAMER_BASE:-$(sed -n 's/^ARG BASE=//p' "$root/Dockerfile")}
  base=()
  if [ -n "${DREAMER_BASE:-}" ]; then base=(--build-arg "BASE=$DREAMER_BASE"); fi
  export BUILDX_NO_DEFAULT_ATTESTATIONS=1 # plain images, which join can put together
  mkdir -p "$dist/.packages"
  for step in "$@"; do "step_$step"; done
}

known='caffe boxes pins verify images source sbom complete sums notes push join names pull-line all'
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
  exit
fi
