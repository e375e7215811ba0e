# shellcheck shell=bash
# The signature that this host demands of bundles, if the specification says so.

readonly APPLY=/usr/local/sbin/bundlegen-apply
readonly ALLOWED_SIGNERS=/etc/bundlegen/allowed_signers

# demands_signature: does this bundle place what demands it?
demands_signature() {
  [[ -n ${ENTRY_OF[${APPLY}]-} ]]
}

PLACED_BEFORE=()

# placed_before PATH...: in PLACED_BEFORE those that the bundle before this one has placed, and that are as it made them.
placed_before() {
  local path kept earlier='' sum
  PLACED_BEFORE=()
  kept=$(replaced "${CONF[STATE_DIR]}/bundle/MANIFEST") || return 0
  read_text "${kept}" earlier
  for path in "$@"; do
    sum=$(sha256 "${path}") || continue
    [[ ${earlier} != *" ${sum} ${path}"$'\n'* ]] || PLACED_BEFORE+=("${path}")
  done
}

# tend_trust: a demand that the specification has no more goes. One that an image brought stays.
tend_trust() {
  running || return 0
  if demands_signature; then
    say "  this host demands the signature that ${ALLOWED_SIGNERS} allows: run later bundles with bundlegen-apply"
    return 0
  fi
  placed_before "${APPLY}" "${ALLOWED_SIGNERS}"
  ((${#PLACED_BEFORE[@]} > 0)) || return 0
  back_up "${PLACED_BEFORE[@]}"
  rm -f -- "${PLACED_BEFORE[@]}"
  say "  this host does not demand a signature any more"
}

# check_trust: who demands a signature must be able to check one.
check_trust() {
  demands_signature || return 0
  if running && ! have ssh-keygen; then
    verdict trust failed "ssh-keygen is not installed, with which this host is to check signatures" \
      "It is part of openssh-client, openssh-clients or openssh."
  else
    verdict trust ok "later bundles are run with bundlegen-apply, which demands a signature"
  fi
}
