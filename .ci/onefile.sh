#!/bin/sh
# bundlegen as one file: this script, a small loader, and an archive. The loader unpacks the archive, and /tmp is often
# noexec; so this finds a folder from which programs may run, and starts it there. Nothing is left behind.
set -eu

# The processor and the version of the GNU C library that the program was made for.
machine=@MACHINE@
glibc=@GLIBC@

# Fails early and plainly where the kernel or the loader would refuse the program in words of their own.
check_machine() {
  here=$(uname -m)
  if test "${here}" != "${machine}"; then
    echo "bundlegen: error: this program is for ${machine} processors, and this machine has ${here}" >&2
    exit 5
  fi
  here=$(getconf GNU_LIBC_VERSION 2> /dev/null) || return 0
  here=${here#glibc }
  case ${here} in 2.*[!0-9]* | [!2]*) return 0 ;; *) ;; esac
  test "${here#2.}" -lt "${glibc#2.}" || return 0
  echo "bundlegen: error: this program needs glibc ${glibc} or newer, and this machine has ${here} (take one made on an older system)" >&2
  exit 5
}

# Removes what is left in $1 of runs that were killed before the program was there: it and what its loader had unpacked.
sweep() {
  test -d "/proc/$$" || return 0
  for left in "$1"/bundlegen.*.??????????; do
    test -d "${left}" || continue
    pid=${left#"$1/bundlegen."}
    pid=${pid%.*}
    case ${pid} in "" | 0* | *[!0-9]*) continue ;; *) ;; esac
    test ! -d "/proc/${pid}" || continue
    rm -rf -- "${left}" "$1/_MEI$(printf '%08x' "${pid}")"?????? 2> /dev/null || true
  done
}

# Makes ${place}, a private folder in $1 from which programs may run; empty where there can be none.
find_place() {
  place=
  test -n "$1" || return 0
  sweep "$1"
  place=$(mktemp -d "$1/bundlegen.$$.XXXXXXXXXX" 2> /dev/null) || place=
  test -n "${place}" || return 0
  if ! { printf '#!/bin/sh\n' > "${place}/bundlegen" && chmod 0700 "${place}/bundlegen" && "${place}/bundlegen"; } 2> /dev/null; then
    rm -rf "${place}"
    place=
  fi
}

# Until the program is there, which takes its place and then removes it itself.
tidy_up() {
  test -z "${place-}" || rm -rf "${place}"
}

main() {
  check_machine
  trap tidy_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  beside=$(dirname "$0")
  case $0 in /*) self=$0 ;; *) self=${PWD}/$0 ;; esac
  for folder in "${TMPDIR-}" /tmp /var/tmp /dev/shm "${HOME-}" "${beside}"; do
    find_place "${folder}"
    test -n "${place}" || continue
    # The loader looks for its archive beside itself, under its own name and from the end of the file.
    if ln -s "${self}" "${place}/bundlegen.pkg" && tail -c "+@OFFSET@" "${self}" 2> /dev/null \
      | head -c "@SIZE@" > "${place}/bundlegen" 2> /dev/null; then
      BUNDLEGEN_TMPDIR=${TMPDIR-}
      BUNDLEGEN_PLACE=${place}
      TMPDIR=${folder}
      export BUNDLEGEN_TMPDIR BUNDLEGEN_PLACE TMPDIR
      exec "${place}/bundlegen" "$@"
    fi
    tidy_up
  done
  echo "bundlegen: error: there is no folder with 40 MiB free from which programs may run (set TMPDIR to one)" >&2
  exit 7
}

main "$@"
