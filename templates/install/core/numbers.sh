# shellcheck shell=bash
# Numbers from outside. What bash is given as a number it evaluates, with every command in an index there may be, and a zero in
# front makes it octal. So what was not made by this script is matched before it is used as one.

# is_number TEXT: a decimal number, and not greater than bash can count.
is_number() {
  [[ $1 =~ ^(0|[1-9][0-9]{0,17})$ ]]
}

# number VARIABLE TEXT [OTHERWISE]: sets it to the number that the text is, or to the other one, and fails then.
number() {
  if is_number "$2"; then
    printf -v "$1" '%s' "$2"
  else
    printf -v "$1" '%s' "${3:-0}"
    return 1
  fi
}

readonly HIGHEST_ID=18446744073709551615 # of 64 bits

# is_id TEXT: as etcd has ids, revisions and indices; they may be greater than bash can count.
is_id() {
  [[ $1 =~ ^(0|[1-9][0-9]{0,19})$ ]] && ! is_higher "$1" "${HIGHEST_ID}"
}

# is_higher ONE OTHER: of two numbers as text.
is_higher() {
  ((${#1} > ${#2})) || { ((${#1} == ${#2})) && [[ $1 > $2 ]]; }
}

# month_number NAME VARIABLE: sets it to the number of this month.
month_number() {
  local before=JanFebMarAprMayJunJulAugSepOctNovDec
  before=${before%%"$1"*}
  [[ $1 =~ ^[A-Z][a-z][a-z]$ ]] && ((${#before} < 36)) && printf -v "$2" '%d' "$((${#before} / 3 + 1))"
}

# openssl_time TEXT VARIABLE: sets it to the seconds since 1970 of a moment as openssl writes it, such as
# `Jan  2 03:04:05 2027 GMT`; fails for other text. `date` would do, but those of other userlands do not read this.
openssl_time() {
  local pattern='^([A-Z][a-z]{2}) +([1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60) ([1-9][0-9]{3}) GMT$'
  local year month day seconds
  [[ $1 =~ ${pattern} ]] || return 1
  day=${BASH_REMATCH[2]} year=${BASH_REMATCH[6]}
  seconds=$((10#${BASH_REMATCH[3]} * 3600 + 10#${BASH_REMATCH[4]} * 60 + 10#${BASH_REMATCH[5]}))
  month_number "${BASH_REMATCH[1]}" month || return 1
  # days of the Gregorian calendar, with years that begin in March, so that a leap day ends its year
  ((month > 2)) || ((year -= 1, month += 12))
  day=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 719469))
  printf -v "$2" '%d' "$((day * 86400 + seconds))"
}
