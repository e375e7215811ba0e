#!/bin/bash
# Runs on the builder as root: what arrived must be what was sent; then base.run is baked into this system, which starts
# nothing. Told by the template: UPLOAD, FILES, SUMS.
set -Eeuo pipefail
: "${UPLOAD:?}" "${FILES:?}" "${SUMS:?}"

# Nothing of a failed build stays, also where the builder does (the null builder).
clean_up() {
  local state=$?
  ((state == 0)) || rm -rf -- "${UPLOAD}"
}

check_sums() {
  local -a names digests
  local index
  read -ra names <<< "${FILES}"
  read -ra digests <<< "${SUMS}"
  for index in "${!names[@]}"; do
    printf '%s  %s\n' "${digests[index]}" "${names[index]}" | sha256sum --check --strict
  done
}

main() {
  trap clean_up EXIT
  cd -- "${UPLOAD}"
  check_sums
  sh ./base.run -- bake
}

main "$@"
