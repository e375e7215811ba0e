# shellcheck shell=bash
# Preflight check of the order of changes: what is installed here, and what must have run before this bundle.

readonly CHANGE_SHAPE='(create|[1-9][0-9]{0,6}-[a-z][a-z-]{0,63})'

MADE_UP='' # the skipped change that this run makes up for

# installed KEY: what the installed bundle.conf has for it, if that is of the shape of such values.
installed() {
  local shape line
  [[ -f ${STATE}/bundle/bundle.conf ]] || return 1
  for shape in "${CONF_SHAPES[@]}"; do
    [[ ${shape%% *} != "$1" ]] || break
  done
  while IFS= read -r line; do
    [[ ${line} == "$1='"*"'" ]] || continue
    line=${line#*=\'}
    line=${line%\'}
    [[ ${line} =~ ^${shape#* }$ ]] || return 1
    printf '%s' "${line}"
    return 0
  done < "${STATE}/bundle/bundle.conf"
  return 1
}

# number_of_change CHANGE: `create` is the first; all later ones have theirs in their name.
number_of_change() {
  if [[ $1 == create ]]; then
    printf 1
  else
    printf '%d' "${1%%-*}"
  fi
}

# check_history: bundles of version 0.1 know no changes; what they installed is `create`.
check_history() {
  local here='' number=0 required=${CONF[REQUIRED_CHANGE]} after=${CONF[AFTER_CHANGE]}
  MADE_UP=''
  if own_member; then
    here=$(installed CHANGE) || here=create
    number=$(number_of_change "${here}")
  fi
  if ((number > CONF[CHANGE_NUMBER])); then
    verdict history failed "this bundle is of ${CONF[CHANGE]}, and the newer ${here} is installed here" \
      "Run the bundle of the newest change. To go back on this host: bash ${CONF[STATE_DIR]}/bundle/install.sh rollback"
  elif ((number == CONF[CHANGE_NUMBER])) && [[ ${here} != "${CONF[CHANGE]}" ]]; then
    verdict history failed "this bundle is of ${CONF[CHANGE]}, and ${here}, which has the same number, is installed here" \
      "They were made from two stores; use the one that this cluster was made from."
  elif [[ -n ${required} ]] && ((number < $(number_of_change "${required}"))); then
    verdict history failed "${required} must run on this host before ${CONF[CHANGE]}, and $([[ -n ${here} ]] && printf 'only %s' "${here}" || printf 'no change') is installed here" \
      "Run ${CONF[HOST]}'s bundle of ${required} first."
  elif [[ -n ${after} ]] && ((number < $(number_of_change "${after}"))); then
    MADE_UP=${after}
    verdict history ok "${here:-no change} is installed here; this bundle makes up for ${after}, which did not run"
  else
    verdict history ok "${here:-no change} is installed here"
  fi
}
