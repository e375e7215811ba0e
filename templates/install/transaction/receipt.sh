# shellcheck shell=bash
# Receipts: what a run did to this host, to be attached to a ticket. Hashes and names, never secrets.

STARTED=0            # seconds since 1970
declare -A BEFORE=() # path: SHA-256 before this run, `link`, or empty: there was no file
declare -A PHASE=()  # name: seconds it took
PHASE_ORDER=()
PHASE_START=0

# phase NAME: the one before ends here, for the timings in the receipt.
phase() {
  local moment
  ((${#PHASE_ORDER[@]} == 0)) || [[ ${PHASE_ORDER[-1]} != "$1" ]] || return 0
  moment=$(now)
  if ((${#PHASE_ORDER[@]} > 0)); then
    PHASE[${PHASE_ORDER[-1]}]=$((moment - PHASE_START))
  fi
  PHASE_START=${moment}
  PHASE_ORDER+=("$1")
}

# before_install FOLDER: what its journal found in place.
before_install() {
  local word number mode sum path
  [[ -f $1/journal ]] || return 0
  while read -r word number mode sum path; do
    case ${word} in
      absent) BEFORE[${number}]='' ;;
      file) BEFORE[${path}]=${sum} ;;
      *) ;;
    esac
  done < "$1/journal"
}

# before_undo FOLDER...: what is in place now, of what these journals have changed.
before_undo() {
  local path
  read_earlier "$@"
  for path in "${UNDO_ORDER[@]}"; do
    BEFORE[${path}]=''
    [[ ! -f ${ROOT}${path} ]] || BEFORE[${path}]=$(sha256 "${ROOT}${path}")
  done
}

json_hash() {
  if [[ -n $1 ]]; then
    printf '"%s"' "$1"
  else
    printf null
  fi
}

changed_json() {
  local path comma='' after mode
  printf '['
  while read -r path; do
    [[ -n ${path} ]] || continue
    after='' mode=''
    if [[ -f ${ROOT}${path} ]]; then
      after=$(sha256 "${ROOT}${path}")
      mode=$(stat -c '%04a' -- "${ROOT}${path}")
    fi
    printf '%s\n    {"path": %s, "before": %s, "after": %s, "mode": %s}' "${comma}" "$(json_string "${path}")" \
      "$(json_hash "${BEFORE[${path}]}")" "$(json_hash "${after}")" "$(json_hash "${mode}")"
    comma=','
  done < <(printf '%s\n' ${BEFORE[@]+"${!BEFORE[@]}"} | sort)
  printf ']'
}

timings_json() {
  local name comma=''
  printf '{'
  for name in ${PHASE_ORDER[@]+"${PHASE_ORDER[@]}"}; do
    printf '%s"%s": %d' "${comma}" "${name}" "${PHASE[${name}]-0}"
    comma=', '
  done
  printf '}'
}

tools_json() {
  printf '{"bash": %s, "openssl": %s' "$(json_string "${BASH_VERSION}")" "$(json_string "$(openssl version 2> /dev/null || true)")"
  if [[ -z ${ROOT} ]]; then
    printf ', "systemd": %s' "$(json_string "$(first_line systemctl --version)")"
    printf ', "kubelet": %s' "$(json_string "$(first_line "${CONF[KUBELET_BINARY]}" --version)")"
    [[ ${CONF[MANIFEST_MODE]} != kubeadm ]] || printf ', "kubeadm": %s' "$(json_string "$(kubeadm_version)")"
    ! have containerd || printf ', "containerd": %s' "$(json_string "$(first_line containerd --version)")"
  fi
  printf '}'
}

# first_line COMMAND...: of its output.
first_line() {
  local text
  text=$("$@" 2> /dev/null) || true
  printf '%s' "${text%%$'\n'*}"
}

# newest_receipt: the name of the newest one, if there is any; within a second the names do not tell.
newest_receipt() {
  local file stamp newest='' last=''
  for file in "${STATE}"/receipts/*.json; do
    [[ -f ${file} ]] || continue
    stamp=${file##*/}
    stamp=${stamp:0:16}
    if [[ ${stamp} > ${last} || (${stamp} == "${last}" && ${file} -nt ${newest}) ]]; then
      newest=${file} last=${stamp}
    fi
  done
  printf '%s' "${newest}"
}

# receipt_json EXIT_CODE OUTCOME: all but its last line, see write_receipt.
receipt_json() {
  local ended previous
  phase end
  ended=$(now)
  previous=$(newest_receipt)
  [[ -z ${previous} ]] || previous=$(sha256 "${previous}")
  printf '{\n  "format": 1,\n  "bundlegenVersion": %s,\n  "cluster": %s,\n  "change": %s,\n  "host": %s,\n  "address": %s,\n' \
    "$(json_string "${CONF[BUNDLEGEN_VERSION]}")" "$(json_string "${CONF[CLUSTER]}")" "$(json_string "${CONF[CHANGE]}")" \
    "$(json_string "${CONF[HOST]}")" "$(json_string "${CONF[ADDRESS]}")"
  printf '  "payloadDigest": "%s",\n  "verb": "%s",\n  "startedAt": "%s",\n  "endedAt": "%s",\n' \
    "${PAYLOAD_DIGEST}" "${VERB}" "$(iso_time "${STARTED}")" "$(iso_time "${ended}")"
  printf '  "exitCode": %d,\n  "outcome": "%s",\n  "error": %s,\n' "$1" "$2" "$(json_string "${FAILURE}")"
  printf '  "machineId": %s,\n  "hostname": %s,\n' "$(json_string "$(machine_id)")" "$(json_string "$(host_name)")"
  printf '  "changed": %s,\n  "movedAside": %s,\n' "$(changed_json)" "$(json_list ${MOVED_ASIDE[@]+"${MOVED_ASIDE[@]}"})"
  printf '  "checks": %s,\n  "ignored": %s,\n' "$(verdicts_json)" "$(json_list ${IGNORED[@]+"${IGNORED[@]}"})"
  printf '  "timings": %s,\n  "tools": %s,\n  "previousReceiptDigest": %s,\n' \
    "$(timings_json)" "$(tools_json)" "$(json_hash "${previous}")"
}

# write_receipt EXIT_CODE OUTCOME: its last line is the digest of all above it, by which damage and careless
# editing show; a receipt that cannot be written is said, and does not undo the work.
write_receipt() {
  local name new digest
  # with the host, as receipts of several hosts are put into one folder
  name=${STATE}/receipts/$(timestamp)-${CONF[HOST]}-${VERB}.json
  new=${STATE}/receipts/.new
  # two runs within a second
  while [[ -e ${name} ]]; do name=${name%.json}+.json; done
  if mkdir -p -- "${STATE}/receipts" \
    && receipt_json "$1" "$2" > "${new}" && digest=$(sha256 "${new}") \
    && printf '  "receiptDigest": "%s"\n}\n' "${digest}" >> "${new}" && sync -- "${new}" && mv -fT -- "${new}" "${name}"; then
    say "Receipt: ${name}"
  else
    rm -f -- "${new}" || true
    warn "the receipt ${name} could not be written"
  fi
}
