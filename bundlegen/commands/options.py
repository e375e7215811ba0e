"""What stands on the command line, as tables: what each operand and each option means, wherever it is taken. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Option:
    """One option, which means the same wherever it is taken. ``value``: what follows it; empty for a switch."""

    name: str
    value: str
    text: str


OPERANDS: Final = {
    "NAME=ADDRESS": "name and IP address of each host, such as infra0=10.0.0.6",
    "SPEC": "the specification, such as cluster.yaml",
    "HOST": "hosts, by name",
    "OPERATION": "what is asked for by its name, such as renew; without it, what the specification leads to",
    "BUNDLE": "a bundle, such as infra0.run",
    "PATH": "bundles, and folders of changes",
    "DIR": "a folder",
    "OLD": "the bundle or the folder of the change before",
    "NEW": "the bundle or the folder of the change after it",
    "CLUSTER": "the name of the cluster, as its specification has it",
    "CHANGE": "the folder of a change, or its change.json",
    "RECEIPT": "receipts, and folders to look for them in",
    "change": "the word itself: the schema of change.json instead",
}

OPTIONS: Final = {
    option.name: option
    for option in (
        Option("--name", "NAME", "the name of the cluster (default: etcd)"),
        Option("--file", "FILE", "a new file for the result, instead of standard output"),
        Option("--output", "DIR", "folder for what may be carried away [default: out]"),
        Option("--pki", "DIR", "folder for the keys, which stay here (default: pki)"),
        Option("--change", "NAME", "the change to make again, or to take back, such as create or 2-configure"),
        Option("--within", "DURATION", "what is due: a certificate that expires by then, such as 60d"),
        Option("--existing", "", "only if the cluster's store is there already: no new CA is made"),
        Option("--by", "HOST", "the host that takes removed members out of the cluster; their own hosts are gone"),
        Option("--now", "", "in one round, while the cluster does not serve: for a CA whose key others have"),
        Option(
            "--snapshot",
            "FILE",
            "the snapshot that the cluster begins with; it travels beside the bundles; or sha256:SUM, for one "
            "that is on the hosts",
        ),
        Option("--jobs", "N", "keys to make at once (default: one per CPU)"),
        Option("--seal", "", "encrypt the keys in the bundles, each host's under an unlock code of its own"),
        Option(
            "--sign-key",
            "KEY",
            "sign SHA256SUMS with this SSH key: its file, or the .pub of a key that an agent or a token holds",
        ),
        Option("--require-signer", "ID", "images run only what ID has signed (--base)"),
        Option("--base", "", "make base.run as well: what all hosts share, and no secret, for golden images"),
        Option(
            "--shared-images",
            "",
            "put the images into one file beside the bundles, images.tar.gz, instead of into each bundle",
        ),
        Option("--split", "SIZE", "write each bundle in numbered parts as well, of at most SIZE (such as 10M)"),
        Option("--extension", "EXT", "end the names of what is to be attached in EXT, such as txt"),
        Option("--source-date", "", "date what is new by SOURCE_DATE_EPOCH, however far it is from the clock"),
        Option("--replace", "", "put what comes out different in the place of what is there"),
        Option("--at", "DATE", "the moment for which certificates must be valid (default: now)"),
        Option("--allowed-signers", "FILE", "who may sign, as in ssh-keygen(1); then a good signature is demanded"),
        Option("--signer", "ID", "the name in that file of who must have signed"),
        Option("--metrics", "FILE", "write the answer for node-exporter's textfile collector"),
        Option("--json", "", "the result as JSON"),
        Option("--quiet", "", "print nothing but errors, and what was asked for"),
        Option("--verbose", "", "with an error, where in bundlegen it arose"),
    )
}
