#!/bin/bash -p
# bundlegen's installer: puts one member of an etcd cluster on this host.
#
# This file is the same in every bundle. What differs between hosts is data beside it: bundle.conf
# (KEY='value' lines, matched, never executed) and MANIFEST (mode, owner, SHA-256, destination).
# It needs bash 4.4, systemd, coreutils and openssl, and uses no network but to ask etcd for its health.
#
# Words: a step is written to a journal before it is done, so that it can be undone; a generation is a
# finished journal with the files it replaced. `main`, which comes next, is the table of contents.
#
# Functions that answer yes or no are called in conditions throughout, where errexit does not apply;
# each returns its own answer explicitly, so these three optional warnings have nothing to say here:
# shellcheck disable=SC2310,SC2311,SC2312
set -Eeuo pipefail
set +o posix
shopt -s inherit_errexit

readonly EXIT_USAGE=2 EXIT_WRONG_HOST=10 EXIT_PREFLIGHT=11 EXIT_DAMAGED=12
readonly EXIT_FAILED=13 EXIT_UNHEALTHY=14 EXIT_LOCKED=15

# Where an image keeps what its hosts share, and what runs at its first boot.
readonly GOLDEN=/usr/local/lib/bundlegen
readonly FIRSTBOOT_UNIT=/etc/systemd/system/bundlegen-firstboot.service
readonly FIRSTBOOT_SETTINGS=/etc/bundlegen/firstboot.conf

ROOT=''         # --root: the file tree to work on; empty for the running system
VERB=install    # what to do
JSON=no         # --json: results for machines on standard output, everything else on standard error
SNAPSHOT=yes    # --no-snapshot
ALL_MEMBERS=no  # --cluster: every member must answer
COMPARE=yes     # --no-hash: do not compare what the members hold
WAIT=''         # --wait: seconds
OUTPUT=''       # snapshot --output: the file
METRICS_FILE='' # health --metrics: where what was found is written for node-exporter
SECONDS_TO_WAIT=300
IGNORED=()       # --ignore: names of checks that only warn
ALLOWED=()       # --allow: paths that hygiene lets through
CALLER_PWD=''    # where the archive was started: its stub changes to the unpacked payload
CALLER_TMPDIR='' # where the archive's stub may have left folders of dead runs
HERE=''          # the folder of the payload: where this script is
BUNDLE_FILE=''   # the bundle's own file, if the archive's stub started this
IMAGES_AT=''     # where in it the images begin

# The caller's environment must not matter: an operator's proxy, IFS, locale or PATH is not ours. Nothing of it
# goes to the programs we start; what steers bash itself is unset. (A variable that is merely called like one
# of ours keeps the value we gave it above.)
clean_environment() {
  local name
  CALLER_PWD=${USER_PWD:-${PWD}}
  CALLER_TMPDIR=${TMPDIR-}
  # said by the stub, or by anybody: what is read there is checked before it is used
  BUNDLE_FILE=${BUNDLEGEN_FILE-} IMAGES_AT=${BUNDLEGEN_IMAGES_AT-}
  [[ ${BUNDLE_FILE} == /* && ${IMAGES_AT} =~ ^(0|[1-9][0-9]{0,14})$ ]] || BUNDLE_FILE='' IMAGES_AT=0
  for name in $(compgen -e); do
    [[ ${name} == TERM ]] || export -n "${name?}" 2> /dev/null || true
  done
  unset BASH_COMPAT BASH_ENV BASH_XTRACEFD BUNDLEGEN_FILE BUNDLEGEN_IMAGES_AT CDPATH ENV EXECIGNORE FIGNORE GLOBIGNORE IFS LANG LANGUAGE \
    "${!LC_@}" POSIXLY_CORRECT PS4 TIMEFORMAT TMPDIR
  # what somebody has put into /usr/local/bin may be less than the system's own programs
  export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin:/opt/bin
  export LC_ALL=C TZ=UTC0 HOME=/root
  # where bash puts what it cannot hold in a pipe: /tmp may be full, read-only or shared
  if [[ -w /run ]]; then export TMPDIR=/run; fi
  umask 077
}

# open_streams: input, output and errors exist, so that no file we open takes their place. A closed terminal or
# pipe must not kill a half-done step; writing to it fails harmlessly instead.
open_streams() {
  trap '' PIPE
  # a chroot without /proc: nothing can be told of them
  [[ -e /proc/self/stat ]] || return 0
  # bash itself puts this script where a stream is missing
  [[ -e /proc/$$/fd/0 && ! /proc/$$/fd/0 -ef ${BASH_SOURCE[0]} ]] || exec 0< /dev/null
  [[ -e /proc/$$/fd/1 && ! /proc/$$/fd/1 -ef ${BASH_SOURCE[0]} ]] || exec 1> /dev/null
  [[ -e /proc/$$/fd/2 && ! /proc/$$/fd/2 -ef ${BASH_SOURCE[0]} ]] || exec 2> /dev/null
}
