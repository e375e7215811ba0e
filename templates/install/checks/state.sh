# shellcheck shell=bash
# Preflight checks of what earlier installs, of ours or others', have left on this host.

# check_leftovers: certificates of another cluster, a control plane, a foreign etcd Pod.
check_leftovers() {
  local path left='' file folder=${CONF[STATIC_POD_MANIFEST]%/*}
  for path in "${ENTRY_PATH[@]}"; do
    [[ ${path} == "${CONF[PKI_DIR]}"/* && -e ${ROOT}${path} ]] || continue
    placed_by_us "${path}" || left+=" ${path} is not of this cluster;"
  done
  if [[ -e ${ROOT}${CONF[STATIC_POD_MANIFEST]} ]] && ! own_member && ! { has_log && is_own_log && is_own_manifest; }; then
    left+=" ${CONF[STATIC_POD_MANIFEST]} is there already;"
  fi
  for file in "${ROOT}${folder}"/*; do
    [[ -f ${file} && ${file} != "${ROOT}${CONF[STATIC_POD_MANIFEST]}" ]] || continue
    left+=" ${file#"${ROOT}"} is a static Pod of something else;"
  done
  for path in /etc/kubernetes/kubelet.conf /etc/kubernetes/bootstrap-kubelet.conf; do
    [[ ! -e ${ROOT}${path} ]] || left+=" ${path} shows that this host belongs to a Kubernetes cluster, from which its kubelet would be taken;"
  done
  if [[ -n ${left} ]]; then
    verdict leftovers failed "this host is not free:${left%;}" \
      "Move these files away if nobody needs them, or use another host; nothing is overwritten unasked."
  else
    verdict leftovers ok "no leftovers of another cluster"
  fi
}

# is_own_manifest: does it start this member? Whatever else it says, another one takes its place, and it is kept.
is_own_manifest() {
  local flags
  flags=$'\n'$(manifest_flags "${ROOT}${CONF[STATIC_POD_MANIFEST]}")$'\n'
  [[ ${flags} == *$'\n'"--name=${CONF[HOST]}"$'\n'* && ${flags} == *$'\n'"--data-dir=${CONF[DATA_DIR]}"$'\n'* ]]
}

# check_drop_ins: a drop-in that sorts after ours and sets ExecStart would win.
check_drop_ins() {
  local folder file text winners='' own=${CONF[KUBELET_DROPIN]##*/}
  for folder in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    for file in "${ROOT}${folder}"/kubelet.service.d/*.conf; do
      [[ -f ${file} && ${file##*/} > ${own} && ${file} != "${ROOT}${CONF[KUBELET_CONFIG]}" ]] || continue
      read_text "${file}" text
      [[ ! $'\n'${text} =~ $'\n'[[:blank:]]*ExecStart[[:blank:]]*= ]] || winners+=" ${file#"${ROOT}"}"
    done
  done
  if [[ -n ${winners} ]]; then
    verdict drop-ins failed "these drop-ins would override ours:${winners}" \
      "Remove them, or rename them so that they sort before ${own}."
  else
    verdict drop-ins ok "no other drop-in would override ours"
  fi
}

check_unfinished() {
  if ! interrupted; then
    verdict unfinished ok "no interrupted run"
    return 0
  fi
  read_begin "${STATE}/transaction"
  if [[ ${DIGEST} == "${PAYLOAD_DIGEST}" ]]; then
    verdict unfinished ok "an interrupted run of this bundle, which will be finished"
  else
    verdict unfinished failed "a run of another bundle, of ${CHANGE}, was interrupted here" \
      "Run that bundle again to finish it, or undo it with the same bundle: rollback"
  fi
}
