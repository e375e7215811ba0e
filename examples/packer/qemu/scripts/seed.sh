#!/bin/bash
# bash scripts/seed.sh FOLDER: makes FOLDER with a new SSH key for the builder (builder, builder.pub), and what makes
# cloud-init let it in (user-data, meta-data). For one build: what may log in is removed from the image in the end.
set -Eeuo pipefail

main() {
  if (($# != 1)) || [[ $1 == -* ]]; then
    printf 'usage: bash seed.sh FOLDER\n' >&2
    exit 2
  fi
  umask 077
  mkdir -- "$1"
  cd -- "$1"
  ssh-keygen -q -t ed25519 -N '' -C 'builder of a bundlegen image' -f builder
  local key
  key=$(< builder.pub)
  printf '#cloud-config\nssh_authorized_keys:\n  - %s\n' "${key}" > user-data
  printf 'instance-id: bundlegen-builder\n' > meta-data
}

main "$@"
