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
  now moment
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
  local path sum
  read_earlier "$@"
  look_at "${UNDO_ORDER[@]/#/"${ROOT}"}"
  for path in "${UNDO_ORDER[@]}"; do
    looked_up "${ROOT}${path}" sha256 sum
    BEFORE[${path}]=${sum}
  done
}

# json_hash TEXT: a JSON string, or null for nothing.
json_hash() {
  if [[ -n $1 ]]; then printf '"%s"' "$1"; else printf null; fi
}

changed_json() {
  local path comma='' mode after
  local -a paths=()
  ((${#BEFORE[@]} == 0)) || mapfile -t paths < <(printf '%s\n' "${!BEFORE[@]}" | sort)
  look_at "${paths[@]/#/"${ROOT}"}"
  printf '['
  for path in ${paths[@]+"${paths[@]}"}; do
    looked_up "${ROOT}${path}" sha256 after
    looked_up "${ROOT}${path}" mode mode
    json "${comma}"'\n    {"path": %s, "before": ' "${path}"
    json_hash "${BEFORE[${path}]}"
    printf ', "after": '
    json_hash "${after}"
    printf ', "mode": '
    json_hash "${mode}"
    printf '}'
    comma=','
  done
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
  local systemd kubelet kubeadm containerd
  json '{"bash": %s, "openssl": %s' "${BASH_VERSION}" "$(openssl version 2> /dev/null || true)"
  if [[ -z ${ROOT} ]]; then
    first_line systemd systemctl --version
    kubelet_version kubelet
    json ', "systemd": %s, "kubelet": %s' "${systemd}" "${kubelet}"
    if [[ ${CONF[MANIFEST_MODE]} == kubeadm ]]; then
      kubeadm_version kubeadm
      json ', "kubeadm": %s' "${kubeadm}"
    fi
    ! have containerd || { first_line containerd containerd --version && json ', "containerd": %s' "${containerd}"; }
  fi
  printf '}'
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
  now ended
  previous=$(newest_receipt)
  [[ -z ${previous} ]] || previous=$(sha256 "${previous}")
  json '{\n  "format": 1,\n  "bundlegenVersion": %s,\n  "cluster": %s,\n  "change": %s,\n' \
    "${CONF[BUNDLEGEN_VERSION]}" "${CONF[CLUSTER]}" "${CONF[CHANGE]}"
  json '  "host": %s,\n  "address": %s,\n  "payloadDigest": %s,\n  "verb": %s,\n' \
    "${CONF[HOST]}" "${CONF[ADDRESS]}" "${PAYLOAD_DIGEST}" "${VERB}"
  json '  "startedAt": %s,\n  "endedAt": %s,\n' "$(iso_time "${STARTED}")" "$(iso_time "${ended}")"
  json "  \"exitCode\": $1,"'\n  "outcome": %s,\n  "error": %s,\n' "$2" "${FAILURE}"
  json '  "machineId": %s,\n  "hostname": %s,\n' "$(machine_id)" "$(host_name)"
  printf '  "undone": ' && json_list ${UNDONE[@]+"${UNDONE[@]}"}
  printf ',\n  "changed": ' && changed_json
  printf ',\n  "movedAside": ' && json_list ${MOVED_ASIDE[@]+"${MOVED_ASIDE[@]}"}
  printf ',\n  "checks": ' && verdicts_json
  printf ',\n  "ignored": ' && json_list ${IGNORED[@]+"${IGNORED[@]}"}
  printf ',\n  "timings": ' && timings_json
  printf ',\n  "tools": ' && tools_json
  printf ',\n  "previousReceiptDigest": ' && json_hash "${previous}" && printf ',\n'
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
