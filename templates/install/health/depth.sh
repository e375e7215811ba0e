# shellcheck shell=bash
# What only a member with a leader can tell: alarms, its leader, how much it holds.

ALARM=''

# ask_alarm ADDRESS: sets ALARM to what etcd has raised. Fails with 1 if there is none, and with 2 if the member does not say.
ask_alarm() {
  ALARM=''
  client_ask "$1" POST /v3/maintenance/alarm '{"action":"GET"}' && [[ ${HTTP_STATUS} == 200 ]] || return 2
  [[ ${HTTP_BODY} =~ \"alarm\":\ ?\"([A-Z]{1,20})\" ]] || return 1
  ALARM=${BASH_REMATCH[1]}
}

# health_depth: what only a member with a leader can tell.
health_depth() {
  local leader size version raised=0
  health_list
  ask_alarm "${CONF[ADDRESS]}" || raised=$?
  case ${raised} in
    0)
      METRIC[alarms]=1
      verdict alarms failed "etcd has raised the alarm ${ALARM}" "See https://etcd.io/docs: NOSPACE means the database is full, CORRUPT that members differ."
      ;;
    1)
      METRIC[alarms]=0
      verdict alarms ok "no alarm"
      ;;
    *) verdict alarms warning "this member does not say whether an alarm is raised" ;;
  esac
  if client_post /v3/maintenance/status '{}' && leader=$(json_field leader "${HTTP_BODY}") && [[ ${leader} != 0 ]] && is_id "${leader}"; then
    version=$(json_field version "${HTTP_BODY}") && [[ ${version} =~ ^[0-9A-Za-z.+-]{1,40}$ ]] || version='of an unknown version'
    METRIC[has_leader]=1
    verdict leader ok "the cluster has a leader (member $(printf '%x' "${leader}")); etcd ${version}"
    if number size "$(json_field dbSize "${HTTP_BODY}" || true)"; then
      METRIC[database_bytes]=${size}
      verdict database ok "the database holds $((size / 1024)) KiB"
    else
      verdict database warning "this member does not say how much its database holds"
    fi
  else
    verdict leader warning "this member could not tell its leader"
  fi
}
