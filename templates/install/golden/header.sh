# shellcheck shell=bash
# What only images need, of bundlegen's installer: bake, hygiene, firstboot. install.sh of the same bundle reads this file
# for these verbs, once its SHA-256 is the one in MANIFEST; alone it does nothing. Like install.sh it is the same in every
# bundle that has it.
