#!/bin/bash
# Makes a box of Debian 13 for Vagrant, with libvirt or VirtualBox, from the distribution's packages. The box goes into
# the project's folder, where the Vagrantfile finds it. See "dreamer/machine/box.sh --help".
#
# The disk has a boot sector, a FAT partition with SYSLINUX, kernel and initial RAM disk, and an ext4 partition with the
# rest. No step mounts anything or starts a machine. The same packages give the same box, byte for byte.
set -Eeuo pipefail
umask 022

suite=trixie
megabytes=10240 # size of the disk in the machine; the file is smaller, because it omits unused space
boot=64         # size of the boot partition in MB

# Packages for the machine, and for dreaming; with both, `vagrant up` needs no network if .cache/ has a Caffe
packages=(initramfs-tools systemd-sysv udev dbus openssh-server sudo ifupdown dhcpcd-base iproute2 procps kmod
  ca-certificates curl rsync netbase e2fsprogs less)
dreaming=(libopenblas0-pthread python-is-python3 python3 python3-numpy python3-pil python3-protobuf python3-scipy
  python3-tornado python3-tqdm libheif-examples libjxl-tools libboost-filesystem1.83.0 libboost-python1.83.0
  libboost-thread1.83.0 libgflags2.2 libgoogle-glog0v6t64
  libprotobuf32t64 libpython3.13)

# Differences between the providers
of_provider() {
  case $1 in
    libvirt)
      kernel=linux-image-cloud-amd64
      modules=(virtio_pci virtio_blk virtio_net ext4)
      console='console=tty0 console=ttyS0'
      ;;
    virtualbox)
      kernel=linux-image-amd64 # the cloud kernel lacks vboxsf, for the shared folder, and e1000
      modules=(ahci ata_piix sd_mod e1000 ext4)
      console='console=tty0' # its machines have no serial port, and would wait long for one
      # only these drivers, because all the others would make the box half as large again
      drivers=(acpi ata block cdrom char cpufreq hid input net/ethernet/intel/e1000 net/virtio_net nvme rtc scsi/s usb/core
        usb/host virt virtio)
      ;;
    *) return 1 ;;
  esac
}

# Vagrant first logs in with this public key, which everybody has, and then replaces it by its own.
key='ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant'

usage() {
  cat <<'HELP'
usage: sudo dreamer/machine/box.sh libvirt|virtualbox [FILE]

Makes a box of Debian 13 for "vagrant up": image-dreamer-libvirt.box or image-dreamer-virtualbox.box in the project's
folder, or FILE. This takes about 2 minutes, and needs 2 GB of disk for that time; the box has less than 200 MB. The
packages come from the Debian mirror that apt uses on this machine.

Needs: apt-get install debian-archive-keyring e2fsprogs fdisk mmdebstrap mtools qemu-utils syslinux syslinux-common
Without apt, or with an older one, use a container:
  docker build --target box -t dreamer-box . && docker run --rm -v "${PWD}:/vagrant" dreamer-box virtualbox

Environment:
  DREAMER_MIRROR     URL of a Debian mirror (default: the one that apt uses)
  SOURCE_DATE_EPOCH  latest time of a file in the box, as a Unix time (default: the mirror's last security update)
  TMPDIR             folder for temporary files (default: /var/tmp)
HELP
}

say() { printf '==> %s\n' "$*"; }

die() {
  printf 'box.sh: %s\n' "$*" >&2
  exit 1
}

# Checks before the long work
check_tools() {
  local tool absent=()
  for tool in debugfs:e2fsprogs mke2fs:e2fsprogs sfdisk:fdisk mmdebstrap:mmdebstrap mcopy:mtools qemu-img:qemu-utils \
    syslinux:syslinux; do
    command -v "${tool%:*}" >/dev/null || absent+=("${tool#*:}")
  done
  [ -e "$mbr" ] || absent+=(syslinux-common)
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || absent+=(debian-archive-keyring)
  [ ${#absent[@]} = 0 ] || die "packages are missing: apt-get install ${absent[*]}"
  [ "$(id -u)" = 0 ] || die 'run this as root, because files in the box belong to root'
  [ -d "$(dirname "$box")" ] || die "no such folder: $(dirname "$box")"
}

find_mirror() {
  mirror=${DREAMER_MIRROR:-}
  if [ -z "$mirror" ]; then
    # shellcheck disable=SC2016 # apt's own $(SITE)
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian/*$') ||
      die "apt on this machine has no Debian mirror: run apt-get update, or set DREAMER_MIRROR"
  fi
  mirror=${mirror%/}
}

# Sets the latest time of a file to the last security update, because no package is newer. Files must keep their times,
# or Python would compile their modules again.
find_time() {
  if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    /usr/lib/apt/apt-helper -q download-file "$mirror-security/dists/$suite-security/InRelease" "$work/release" \
      >"$work/log" 2>&1 || die "no answer from the mirror: $(tail -n 1 "$work/log")"
    SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^Date: //p' "$work/release")" +%s)
  fi
  export SOURCE_DATE_EPOCH E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH PYTHONHASHSEED=0 TZ=UTC LC_ALL=C.UTF-8
}

# Configures the system in the folder $1; the other arguments are the modules that it needs to start
configure() {
  local root=$1
  shift
  chroot "$root" useradd --create-home --shell /bin/bash --password '*' vagrant
  echo 'vagrant ALL=(ALL) NOPASSWD:ALL' >"$root/etc/sudoers.d/vagrant"
  chmod 440 "$root/etc/sudoers.d/vagrant"
  install -d -m 700 "$root/home/vagrant/.ssh"
  echo "$key" >"$root/home/vagrant/.ssh/authorized_keys"
  chmod 600 "$root/home/vagrant/.ssh/authorized_keys"
  chroot "$root" chown -R vagrant:vagrant /home/vagrant/.ssh
  # a machine makes its own host keys when it first starts
  rm -f "$root"/etc/ssh/ssh_host_*
  mkdir -p "$root/etc/systemd/system/ssh.service.d"
  printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' \
    >"$root/etc/systemd/system/ssh.service.d/keys.conf"
  printf 'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n' >"$root/etc/network/interfaces"
  rm "$root"/etc/{hostname,resolv.conf} # they belong to the machine that builds the box
  echo image-dreamer >"$root/etc/hostname"
  : >"$root/etc/resolv.conf"
  printf '127.0.0.1 localhost\n127.0.1.1 image-dreamer\n::1 localhost\n' >"$root/etc/hosts"
  printf 'LABEL=root / ext4 noatime,errors=remount-ro 0 1\n' >"$root/etc/fstab"
  # updates in the background would hold apt's lock when provision.sh needs it
  chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service
  printf '%s\n' "$@" >>"$root/etc/initramfs-tools/modules"
  chroot "$root" update-initramfs -u -k all
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt "$root"/etc/*-
  : >"$root/etc/machine-id"
  rm -r "$root/usr/share/python3/debpython/__pycache__" # differs each time; Python makes it again
  # scipy's tests are a tenth of the box (numpy's must stay, because numpy imports them)
  find "$root/usr/lib/python3/dist-packages/scipy" -depth -type d -name tests -exec rm -r {} +
}

# Makes the tree as an archive first, because its order and times do not depend on this machine
make_tree() {
  local driver only=()
  if [ ${#drivers[@]} -gt 0 ]; then
    only=(--dpkgopt='path-exclude=/usr/lib/modules/*/kernel/drivers/*' --dpkgopt='path-exclude=/usr/lib/modules/*/sound/*')
    for driver in "${drivers[@]}"; do only+=(--dpkgopt="path-include=/usr/lib/modules/*/kernel/drivers/$driver*"); done
  fi
  # shellcheck disable=SC2016 # mmdebstrap's own $1
  mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "$kernel,${packages[*]},${dreaming[*]}")" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' "${only[@]}" \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
    --essential-hook='printf "MODULES=list\nCOMPRESS=gzip\n" >"$1/etc/initramfs-tools/conf.d/box"' \
    --customize-hook="bash '$here/box.sh' --configure \"\$1\" ${modules[*]}" \
    "$suite" "$work/root.tar" "deb $mirror $suite main" "deb $mirror $suite-updates main" \
    "deb $mirror-security $suite-security main" >"$work/log" 2>&1 ||
    die "mmdebstrap failed: $(grep -m1 -E 'Unable to locate|^(dpkg|Err:|E:)' "$work/log" || tail -n 1 "$work/log")"
  mkdir "$work/root"
  tar -xpf "$work/root.tar" -C "$work/root" --numeric-owner --xattrs --xattrs-include='*'
  rm "$work/root.tar"
}

make_boot() {
  local fat=$work/boot.fat
  # moved, because a second copy of each would make the box a tenth larger
  mv "$work"/root/boot/vmlinuz-* "$work/vmlinuz"
  mv "$work"/root/boot/initrd.img-* "$work/initrd.img"
  # panic: where QEMU emulates two processors, the kernel may fail as it starts, and would then stand still
  cat >"$work/syslinux.cfg" <<CONFIG
DEFAULT linux
PROMPT 0
LABEL linux
  LINUX /vmlinuz
  INITRD /initrd.img
  APPEND root=LABEL=root ro quiet panic=5 $console net.ifnames=0
CONFIG
  touch -d "@$SOURCE_DATE_EPOCH" "$work"/{root/boot,vmlinuz,initrd.img,syslinux.cfg}
  truncate -s "${boot}M" "$fat"
  mformat -i "$fat" -F -N 64726d72 -v BOOT ::
  mcopy -m -i "$fat" "$work"/{vmlinuz,initrd.img,syslinux.cfg} ::/
  syslinux --install "$fat"
}

make_disk() {
  local disk=$work/disk.raw start=$((boot + 1))
  truncate -s "${megabytes}M" "$disk"
  printf 'label: dos\nlabel-id: 0x64726d72\nstart=2048, size=%d, type=c, bootable\nstart=%d, type=83\n' \
    $((boot * 2048)) $((start * 2048)) | sfdisk -q "$disk"
  dd if="$mbr" of="$disk" bs=440 count=1 conv=notrunc status=none
  dd if="$work/boot.fat" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
  mke2fs -q -F -t ext4 -L root -m 0 -U 64726561-6d65-4000-8000-000000000001 -d "$work/root" \
    -E "offset=$((start * 1048576)),hash_seed=64726561-6d65-4000-8000-000000000002,lazy_itable_init=1,root_owner=0:0" \
    "$disk" "$((megabytes - start - 1))M"
  # mke2fs also copies the times at which files were unpacked here, so this resets them
  (cd "$work/root" && find . -printf '/%P\n' | LC_ALL=C sort) |
    sed 's/.*/sif "&" ctime @T\nsif "&" crtime @T\nsif "&" atime @T/' | sed "s/@T\$/@$SOURCE_DATE_EPOCH/" >"$work/times"
  printf 'sif <11> %s @'"$SOURCE_DATE_EPOCH"'\n' ctime crtime atime mtime >>"$work/times"
  debugfs -w -f "$work/times" "$disk?offset=$((start * 1048576))" >"$work/log" 2>&1
}

make_box() {
  mkdir "$work/box"
  "for_$provider" "$work/box"
  (cd "$work/box" && tar --owner=0 --group=0 --numeric-owner --mode=644 --mtime="@$SOURCE_DATE_EPOCH" \
    -cf "$box.part" -- *)
  chown "$(stat -c %u:%g "$(dirname "$box")")" "$box.part"
  mv "$box.part" "$box"
}

for_libvirt() {
  qemu-img convert -c -O qcow2 "$work/disk.raw" "$1/box.img"
  echo "{\"provider\": \"libvirt\", \"format\": \"qcow2\", \"virtual_size\": $((megabytes / 1024))}" >"$1/metadata.json"
  echo 'Vagrant.configure("2") { |config| config.vm.synced_folder ".", "/vagrant", disabled: false }' >"$1/Vagrantfile"
}

for_virtualbox() {
  local disk=$1/box-disk001.vmdk place
  qemu-img convert -O vmdk -o subformat=streamOptimized "$work/disk.raw" "$disk"
  # qemu-img makes this number at random, so this sets a fixed one
  place=$(head -c 2048 "$disk" | grep -abo -m1 '^CID=' | cut -d: -f1)
  printf 64726d72 | dd of="$disk" bs=1 seek=$((place + 4)) conv=notrunc status=none
  ovf "${disk##*/}" "$(stat -c %s "$disk")" >"$1/box.ovf"
  echo '{"provider": "virtualbox", "architecture": "amd64"}' >"$1/metadata.json"
  cat >"$1/Vagrantfile" <<'VAGRANT'
Vagrant.configure("2") do |config|
  config.vm.base_mac = "080027D8EA13"
  config.vm.provider "virtualbox" do |machine|
    machine.check_guest_additions = false # the kernel's own modules share the folder
    machine.customize ["modifyvm", :id, "--ioapic", "on", "--rtcuseutc", "on"]
  end
end
VAGRANT
}

# ovf DISK BYTES: prints the machine's description for VirtualBox; its disk is the file DISK of that many bytes. The
# machine has two processors, because with one VirtualBox would import it without the I/O APIC, which several need.
ovf() {
  cat <<XML
<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:id="file1" ovf:href="$1" ovf:size="$2"/>
  </References>
  <DiskSection>
    <Info>The disk</Info>
    <Disk ovf:diskId="vmdisk1" ovf:capacity="$((megabytes * 1048576))" ovf:fileRef="file1"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The network</Info>
    <Network ovf:name="NAT">
      <Description>NAT</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="image-dreamer">
    <Info>A machine to dream in</Info>
    <OperatingSystemSection ovf:id="96">
      <Info>Debian, 64 bits</Info>
      <Description>Debian_64</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Its hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>image-dreamer</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:ElementName>2 virtual CPU</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>
        <rasd:ElementName>2048 MB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>2048</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>sataController0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>disk1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>NAT</rasd:Connection>
        <rasd:ElementName>Ethernet adapter on 'NAT'</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
XML
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mbr=/usr/lib/syslinux/mbr/mbr.bin
drivers=()
case "$# ${1:-}" in
  *' -h' | *' --help') usage && exit ;;
  *' --configure') configure "${@:2}" && exit ;;
esac
if ! of_provider "${1:-}" || [ $# -gt 2 ] || [[ ${2:-} == -* ]]; then
  printf 'box.sh: give libvirt or virtualbox, at most one FILE, and no option except --help\n\n' >&2 && usage >&2 && exit 2
fi
provider=$1
box=$(realpath -m "${2:-$here/../../image-dreamer-$provider.box}")

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
check_tools
find_mirror
work=$(mktemp -d "${TMPDIR:-/var/tmp}/dreamer-box.XXXXXX")
trap 'rm -rf "$work" "$box.part"' EXIT
chmod 755 "$work"
find_time
say "box for $provider: packages of Debian 13 ($suite) as of $(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M')"
make_tree
say "disk: $(du -sm "$work/root" | cut -f1) MB in $(find "$work/root" | wc -l) files after $SECONDS s"
make_boot
make_disk
make_box
say "box: $(($(stat -c %s "$box") / 1000000)) MB after $SECONDS s, $box"
(cd "$(dirname "$box")" && sha256sum "${box##*/}")
