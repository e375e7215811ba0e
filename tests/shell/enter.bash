#!/bin/bash
# Makes one sandbox: namespaces of its own, a root of tmpfs and read-only binds, stand-ins first on PATH.
# Arguments: folder for the root, folder of stand-ins, Python's prefix, Python, host name, address. Stays until killed.
set -eu
root=$1 stubs=$2 prefix=$3 python=$4 name=$5 address=$6
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$root"
mkdir -p "$root"/{usr,etc,var,run,tmp,dev,proc,sys,root,media}
for folder in bin sbin lib lib32 lib64 libx32; do
  if [[ -L /$folder ]]; then
    cp -a "/$folder" "$root/$folder"
  elif [[ -d /$folder ]]; then
    mkdir "$root/$folder"
    mount --bind "/$folder" "$root/$folder"
  fi
done
mount --rbind /usr "$root/usr"
for folder in etc var run tmp media; do
  mount -t tmpfs -o mode=0755,size=512m tmpfs "$root/$folder"
done
chmod 1777 "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs tmpfs "$root/sys"
mkdir -p "$root/sys/fs/cgroup"
# an interpreter that is not the system's own
if [[ $prefix != /usr ]]; then
  mkdir -p "$root$prefix"
  mount --bind "$prefix" "$root$prefix"
fi
# what stand-ins note down is not part of the host's tree, and must not run out of space with it
mkdir "$root/var/stub"
mount -t tmpfs tmpfs "$root/var/stub"
# stand-ins: a copy, so that a test may take one away
mkdir -p "$root/var/stub/bin"
cp "$stubs"/* "$root/var/stub/bin/"
mount --bind "$root/var/stub/bin" "$root/usr/local/sbin"
mount -t tmpfs tmpfs "$root/usr/local/bin"
# where an image keeps what its hosts share: what this machine has there stays, and gets nothing of ours
mount -t tmpfs tmpfs "$root/usr/local/lib"
for entry in /usr/local/lib/*; do
  if [[ -L $entry ]]; then
    cp -a "$entry" "$root$entry"
  elif [[ -d $entry ]]; then
    mkdir "$root$entry"
    mount --rbind "$entry" "$root$entry"
  fi
done
cp -a /etc/passwd /etc/group /etc/ld.so.cache /etc/alternatives "$root/etc/"
mkdir -p "$root"/etc/{kubernetes,containerd,systemd/system} "$root"/var/lib "$root"/run/{systemd/system,containerd}
: > "$root/etc/resolv.conf"
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
printf '%s\n' 'version = 2' 'disabled_plugins = []' '[plugins."io.containerd.grpc.v1.cri"]' \
  '  sandbox_image = "registry.k8s.io/pause:3.10"' \
  '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]' '  SystemdCgroup = true' \
  > "$root/etc/containerd/config.toml"
printf '%s\n' registry.k8s.io/etcd:3.5.15-0 registry.k8s.io/pause:3.10 > "$root/var/stub/images"
echo disabled > "$root/var/stub/enabled"
echo activating > "$root/var/stub/active"
echo /usr/local/sbin/kubelet > "$root/var/stub/exec-start"
echo "$python" > "$root/var/stub/python"
echo "$prefix" > "$root/var/stub/prefix"
# by its bare name: the path of a socket is limited to 107 bytes
(cd "$root/run/containerd" && "$python" -c 'import socket; socket.socket(socket.AF_UNIX).bind("containerd.sock")')
echo "Filename Type Size Used Priority" > "$root/var/stub/swaps"
mount --bind "$root/var/stub/swaps" "$root/proc/swaps"
hostname "$name"
ip link set lo up
case $address in
  *:*) ip address add "$address/64" dev lo nodad ;;
  *) ip address add "$address/24" dev lo ;;
esac
exec chroot "$root" /bin/bash -c 'echo ready; while read -r _; do :; done'
