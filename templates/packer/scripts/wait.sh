#!/bin/bash
# Runs on the builder as root, first: what cloud-init still does to the machine would collide with what comes.
set -Eeuo pipefail

main() {
  local state=0
  command -v cloud-init > /dev/null || return 0
  cloud-init status --wait || state=$?
  # 2: it is done, and had complaints (in releases that tell the two apart).
  ((state == 0 || state == 2)) || {
    printf 'wait: cloud-init failed on the builder; see /var/log/cloud-init-output.log there\n' >&2
    exit 1
  }
}

main "$@"
