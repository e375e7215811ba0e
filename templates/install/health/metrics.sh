# shellcheck shell=bash
# health --metrics FILE: what was found, as node-exporter's textfile collector reads it. Moments and sizes are numbers that
# were matched; what is not known has no line.

declare -A METRIC=() # name: a number; filled by the checks

readonly -a METRIC_WORDS=(
  certificate_not_after_seconds 'When the first certificate of this host expires.'
  member_serves 'Whether this member serves.'
  members_healthy 'How many members of the cluster say that they are healthy.'
  members 'How many members the cluster has, as this host knows it.'
  has_leader 'Whether this member knows a leader.'
  database_bytes 'How much the database of this member holds.'
  quota_bytes 'How large it may grow.'
  alarms 'Whether etcd has raised an alarm.'
  written_down_seconds 'When it was last written down how far this member has come.'
  checks_failed 'How many checks of the report have failed.'
)

# count_metrics: what the checks have not put there themselves.
count_metrics() {
  METRIC[member_serves]=0 METRIC[members_healthy]=$(count_members healthy) METRIC[members]=$(member_count)
  METRIC[quota_bytes]=${CONF[QUOTA_BYTES]} METRIC[checks_failed]=${FAILED}
  case ${LEVEL} in
    member | cluster) METRIC[member_serves]=1 ;;
    waiting) METRIC[has_leader]=0 ;;
    *) ;;
  esac
  ! read_written "${STATE}/member" || METRIC[written_down_seconds]=${WRITTEN[TIME]-}
}

# metric_lines: the file, on standard output.
metric_lines() {
  local index name
  for ((index = 0; index < ${#METRIC_WORDS[@]}; index += 2)); do
    name=${METRIC_WORDS[index]}
    is_number "${METRIC[${name}]-}" || continue
    printf '# HELP bundlegen_health_%s %s\n# TYPE bundlegen_health_%s gauge\n' "${name}" "${METRIC_WORDS[index + 1]}" "${name}"
    printf 'bundlegen_health_%s{cluster="%s",host="%s"} %s\n' "${name}" "${CONF[CLUSTER]}" "${CONF[HOST]}" "${METRIC[${name}]}"
  done
}

# health_metrics: writes METRICS_FILE in one step, 0644. Where it cannot be written, that is a warning: etcd is as it is.
health_metrics() {
  local new=${METRICS_FILE%/*}/.${METRICS_FILE##*/}.$$ left
  count_metrics
  # of a run that was killed
  for left in "${METRICS_FILE%/*}/.${METRICS_FILE##*/}".*; do
    ! is_number "${left##*.}" || [[ ! -f ${left} || -d /proc/${left##*.} ]] || rm -f -- "${left}"
  done
  # noclobber: whoever else may write there cannot lead root elsewhere with a link
  if ! { (umask 022 && set -o noclobber && metric_lines > "${new}") && mv -fT -- "${new}" "${METRICS_FILE}"; } 2> /dev/null; then
    rm -f -- "${new}"
    verdict metrics warning "${METRICS_FILE} could not be written" "Make its folder, or name another file with --metrics."
  fi
}
