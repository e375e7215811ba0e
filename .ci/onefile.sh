#!/bin/sh
# bundlegen as one file: this script, and the program behind it. The program unpacks itself, and /tmp is often noexec;
# so this finds a folder from which programs may run, and starts it there. Nothing is left behind.
set -eu

# Makes ${place}, a private folder in $1 from which programs may run; empty where there can be none.
find_place() {
  place=
  test -n "$1" || return 0
  place=$(mktemp -d "$1/bundlegen.XXXXXXXXXX" 2> /dev/null) || place=
  test -n "${place}" || return 0
  printf '#!/bin/sh\n' > "${place}/bundlegen"
  chmod 0700 "${place}/bundlegen"
  if ! "${place}/bundlegen" 2> /dev/null; then
    rm -rf "${place}"
    place=
  fi
}

main() {
  beside=$(dirname "$0")
  for folder in "${TMPDIR-}" /tmp /var/tmp /dev/shm "${HOME-}" "${beside}"; do
    find_place "${folder}"
    test -n "${place}" || continue
    if tail -c "+@OFFSET@" "$0" > "${place}/bundlegen" 2> /dev/null; then
      BUNDLEGEN_TMPDIR=${TMPDIR-}
      BUNDLEGEN_PLACE=${place}
      TMPDIR=${folder}
      export BUNDLEGEN_TMPDIR BUNDLEGEN_PLACE TMPDIR
      exec "${place}/bundlegen" "$@"
    fi
    rm -rf "${place}"
  done
  echo "bundlegen: error: there is no folder with 150 MiB free from which programs may run (set TMPDIR to one)" >&2
  exit 7
}

main "$@"
