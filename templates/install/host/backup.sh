# shellcheck shell=bash
# Snapshots that a timer takes: on as the specification has it, and off again with it.

readonly SNAPSHOT_TIMER=bundlegen-snapshot.timer

# tend_backup: after the units are in force.
tend_backup() {
  running || return 0
  if [[ -n ${CONF[BACKUP_SCHEDULE]} ]]; then
    if ! systemctl enable --now "${SNAPSHOT_TIMER}" 2> /dev/null || ! systemctl restart "${SNAPSHOT_TIMER}"; then
      warn "${SNAPSHOT_TIMER} could not be started: no snapshots are taken by themselves"
    fi
    return 0
  fi
  placed_before "${CONF[HEALTH_COMMAND]%/*}/bundlegen-snapshot" /etc/systemd/system/bundlegen-snapshot.{service,timer}
  ((${#PLACED_BEFORE[@]} > 0)) || return 0
  systemctl disable --now "${SNAPSHOT_TIMER}" > /dev/null 2>&1 || true
  back_up "${PLACED_BEFORE[@]}"
  rm -f -- "${PLACED_BEFORE[@]}"
  systemctl daemon-reload || warn "systemctl daemon-reload failed"
  say "  snapshots are not taken by themselves any more; those that were taken stay"
}

# retend_backup: after an undo, as what is installed then has it.
retend_backup() {
  local schedule=''
  running && [[ -f /etc/systemd/system/${SNAPSHOT_TIMER} ]] || return 0
  schedule=$(installed BACKUP_SCHEDULE) || true
  [[ -n ${schedule} ]] || return 0
  if ! systemctl enable --now "${SNAPSHOT_TIMER}" 2> /dev/null || ! systemctl restart "${SNAPSHOT_TIMER}"; then
    warn "${SNAPSHOT_TIMER} could not be started again"
  fi
}

# check_backup: systemd must understand when.
check_backup() {
  running && [[ -n ${CONF[BACKUP_SCHEDULE]} ]] || return 0
  if systemd-analyze calendar "${CONF[BACKUP_SCHEDULE]}" > /dev/null 2>&1; then
    verdict backup ok "snapshots are taken at ${CONF[BACKUP_SCHEDULE]}, and ${CONF[BACKUP_KEEP]} of them stay in ${CONF[BACKUP_DIR]}"
  else
    verdict backup failed "systemd does not understand backup.schedule, ${CONF[BACKUP_SCHEDULE]}" "Try it: systemd-analyze calendar '${CONF[BACKUP_SCHEDULE]}'"
  fi
}

# scheduled_snapshots: those that the timer has taken, the oldest first.
scheduled_snapshots() {
  local file
  for file in "${CONF[BACKUP_DIR]}/${CONF[CLUSTER]}-${CONF[HOST]}-"*.db; do
    [[ -f ${file} && ! -L ${file} && ${file} =~ -[0-9]{8}T[0-9]{6}Z\.db$ ]] && printf '%s\n' "${file}"
  done
  return 0
}

# take_scheduled: a new one, and then the oldest go. Nothing goes before the new one is whole.
take_scheduled() {
  local moment file
  local -a all
  [[ -n ${CONF[BACKUP_DIR]} ]] || die "${EXIT_USAGE}" "--scheduled: the specification has no backup"
  [[ -d ${CONF[BACKUP_DIR]} ]] || (umask 077 && mkdir -p -- "${CONF[BACKUP_DIR]}") \
    || die "${EXIT_PREFLIGHT}" "${CONF[BACKUP_DIR]} could not be made" "Make it, or choose another backup.directory."
  now moment
  file=$(iso_time "${moment}")
  take_snapshot "${CONF[BACKUP_DIR]}/${CONF[CLUSTER]}-${CONF[HOST]}-${file//[:-]/}.db"
  mapfile -t all < <(scheduled_snapshots)
  while ((${#all[@]} > CONF[BACKUP_KEEP])); do
    rm -f -- "${all[0]}"
    say "  removed ${all[0]}"
    all=("${all[@]:1}")
  done
}

# backup_interval VARIABLE: sets it to the seconds between two of them, as systemd counts; fails if it does not tell.
backup_interval() {
  local line first='' second='' pattern="^ *\\(in UTC\\): (.+)\$"
  while IFS= read -r line; do
    [[ ${line} =~ ${pattern} ]] || continue
    first=${second} second=${BASH_REMATCH[1]}
  done < <(LC_ALL=C TZ=Asia/Tokyo systemd-analyze calendar --iterations=2 "${CONF[BACKUP_SCHEDULE]}" 2> /dev/null || true)
  [[ -n ${first} ]] || return 1
  first=$(date -d "${first}" +%s 2> /dev/null) && second=$(date -d "${second}" +%s 2> /dev/null) || return 1
  number first "${first}" && number second "${second}" && ((second > first)) || return 1
  printf -v "$1" '%d' "$((second - first))"
}

# health_backup: the newest is not older than twice the time between two.
health_backup() {
  local newest='' interval moment age
  [[ -n ${CONF[BACKUP_SCHEDULE]} ]] || return 0
  newest=$(scheduled_snapshots | tail -n 1)
  if [[ -z ${newest} ]]; then
    verdict backup warning "there is no snapshot in ${CONF[BACKUP_DIR]} yet" "Take one: bundlegen-snapshot --scheduled. When will it be? systemctl list-timers ${SNAPSHOT_TIMER}"
    return 0
  fi
  now moment
  number age "$(stat -c %Y -- "${newest}" 2> /dev/null || true)" || age=0
  age=$((moment - age))
  backup_interval interval || interval=86400
  if ((age > 2 * interval)); then
    verdict backup warning "the newest snapshot is $((age / 3600)) hours old, and one is due every $((interval / 3600))" "See why: systemctl status bundlegen-snapshot"
  else
    verdict backup ok "the newest snapshot is $((age / 60)) minutes old: ${newest}"
  fi
}
