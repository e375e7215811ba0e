# shellcheck shell=bash
# The birth of a member: etcd makes its log, and from then on the manifest is in its form of life. So an etcd whose data
# is emptied while kubelet runs cannot start anew either. It costs one more start of etcd, before anybody uses it.

# be_born: after kubelet was started with a manifest that this run has placed.
be_born() {
  local path=${CONF[STATIC_POD_MANIFEST]} birth=${JOURNAL}/manifest.birth
  running && noted "${path}" || return 0
  cat -- "${path}" > "${birth}"
  in_form_of_life "${birth}" || {
    await_birth
    write_down
    forget_newborn
    install_life_form "${birth}"
    await_another "${birth}" "${path}"
  }
  rm -f -- "${birth}"
}

# in_form_of_life FILE: is the manifest so already?
in_form_of_life() {
  local text
  text=$(life_form "$1") && [[ ${text} == "$(< "$1")" ]]
}

# await_birth: until etcd answers, be it that it waits for others: then its log is on the disk.
await_birth() {
  local start=${SECONDS} elapsed
  start_progress
  say "Waiting for etcd to make its log ..."
  until find_right && has_log && metrics_get /health; do
    elapsed=$((SECONDS - start))
    REASON='etcd has not started yet'
    ! is_hopeless || break
    if ((elapsed >= SECONDS_TO_WAIT)); then
      probe_local || true
      break
    fi
    progress "${elapsed}" "${REASON}"
    sleep 0.5
  done
  end_progress
  { has_log && [[ -n ${RIGHT} && -n ${HTTP_STATUS} ]]; } || not_healthy
}

# note_member: the run has ended well: what this member is, with the numbers that it has reached.
note_member() {
  running || return 0
  if [[ ${LEVEL} == @(member|cluster) ]] && own_status; then
    write_down "${STATUS_REVISION}" "${STATUS_INDEX}"
  else
    write_down
  fi
}

# forget_member: its data was moved aside, and another one may be born here.
forget_member() {
  rm -f -- "${STATE}/member" "${STATE}"/.member.*
}

STATUS_REVISION='' STATUS_INDEX=''

# own_status: the revision and the index that this member has reached; fails if it does not tell.
own_status() {
  client_post /v3/maintenance/status '{}' && [[ ${HTTP_STATUS} == 200 ]] || return 1
  STATUS_REVISION=$(json_field revision "${HTTP_BODY}") && STATUS_INDEX=$(json_field raftIndex "${HTTP_BODY}") || return 1
  is_id "${STATUS_REVISION}" && is_id "${STATUS_INDEX}"
}

# health_data: what may not start, and what must not be believed.
health_data() {
  local why
  if why=$(data_lost); then
    verdict data failed "etcd must not start here: ${why}" "$(how_to_mend)"
  elif has_log; then
    verdict data ok "etcd's log is in its place"
  else
    verdict data failed "etcd has no log in ${CONF[WAL_DIR]:-${CONF[DATA_DIR]}/member/wal}" \
      "See whether its disk is mounted: findmnt ${CONF[DATA_DIR]}"
  fi
}
