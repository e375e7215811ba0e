# shellcheck shell=bash
# Text from outside: cut, and shown.

# after NEEDLE TEXT VARIABLE: sets it to what follows the needle where that first stands; fails where it does not.
# (For ${TEXT#*NEEDLE} bash takes half a minute where the text is 150 KiB long.)
after() {
  local in_front=${2%%"$1"*}
  ((${#in_front} < ${#2})) && printf -v "$3" '%s' "${2:${#in_front}+${#1}}"
}

PRINTABLE=''

# printable TEXT: sets PRINTABLE to it in one line, in which a question mark stands for what steers terminals, or turns the
# direction of what is read.
printable() {
  PRINTABLE=${1//$'\n'/ / }
  PRINTABLE=${PRINTABLE//[[:cntrl:]]/?}
  # in UTF-8: U+0080 to 009F, 202A to 202E, 2066 to 2069
  PRINTABLE=${PRINTABLE//$'\xc2'[$'\x80'-$'\x9f']/?}
  PRINTABLE=${PRINTABLE//$'\xe2\x80'[$'\xaa'-$'\xae']/?}
  PRINTABLE=${PRINTABLE//$'\xe2\x81'[$'\xa6'-$'\xa9']/?}
}
