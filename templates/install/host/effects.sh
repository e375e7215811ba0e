# shellcheck shell=bash
# What it costs if a file changes; the table EFFECTS is above.

# effect_of PATH: sets EFFECT to none, kubelet, etcd or pod.
effect_of() {
  local line path condition
  for line in "${EFFECTS[@]}"; do
    path=${line%% *} condition=${line##* } EFFECT=${line#* }
    EFFECT=${EFFECT%% *}
    [[ ${path} != @* ]] || path=${CONF[${path#@}]}
    # shellcheck disable=SC2053 # a pattern
    [[ $1 == ${path} ]] || continue
    [[ ${condition} != - && ${CONF[${condition%%=*}]} != "${condition#*=}" ]] || return 0
  done
}
