#!/bin/bash
# Runs on the machine that Packer runs on, before anything is uploaded: the files must be what SHA256SUMS lists, and that
# must be signed where allowed_signers is set. Told by the template: CHANGE, FILES, SUMS, ALLOWED_SIGNERS, SIGNER.
set -Eeuo pipefail
: "${CHANGE:?}" "${FILES:?}" "${SUMS:?}" "${ALLOWED_SIGNERS?}" "${SIGNER?}"

die() {
  printf 'check: %s\n' "$*" >&2
  exit 1
}

# What is listed, read once: what is signed is then what is compared.
LISTED=''

check_signature() {
  [[ -n ${ALLOWED_SIGNERS} ]] || return 0
  [[ -n ${SIGNER} ]] || die "allowed_signers is set: set signer as well, the name in it that must have signed"
  [[ -f SHA256SUMS.sig ]] || die "${CHANGE} is not signed: it has no SHA256SUMS.sig (see bundlegen build --sign-key)"
  printf '%s' "${LISTED}" | ssh-keygen -Y verify -f "${ALLOWED_SIGNERS}" -I "${SIGNER}" -n bundlegen -s SHA256SUMS.sig \
    || die "the signature of ${CHANGE}/SHA256SUMS is not a good one of ${SIGNER}"
}

check_sums() {
  local -a names digests
  local index
  read -ra names <<< "${FILES}"
  read -ra digests <<< "${SUMS}"
  for index in "${!names[@]}"; do
    [[ -f ${names[index]} ]] || die "${CHANGE} has no ${names[index]}"
    [[ $'\n'${LISTED} == *$'\n'"${digests[index]}  ${names[index]}"$'\n'* ]] \
      || die "${CHANGE}/SHA256SUMS does not list ${names[index]} as it was asked for: with the SHA-256 ${digests[index]}"
    printf '%s  %s\n' "${digests[index]}" "${names[index]}" | sha256sum --check --strict \
      || die "${CHANGE}/${names[index]} is not what was asked for: its SHA-256 should be ${digests[index]}"
  done
}

main() {
  cd -- "${CHANGE}"
  [[ -f SHA256SUMS ]] || die "${CHANGE} has no SHA256SUMS"
  IFS= read -r -d '' LISTED < SHA256SUMS || true
  check_signature
  check_sums
}

main "$@"
