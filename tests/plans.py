"""Plans of bundles without a store: keys from the fixtures, and small texts in the place of the scripts."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from bundlegen.bundle import render
from bundlegen.bundle.facts import Window
from bundlegen.bundle.plan import BundlePlan, plan_base, plan_host
from bundlegen.pki.catalog import CertRequest, ca_request, host_requests
from bundlegen.pki.issue import Pair, issue
from bundlegen.spec.check import parse
from bundlegen.spec.model import Cluster
from bundlegen.system import resources
from tests.pki_cases import NOW, fixture_key

INSTALLER = b"#!/bin/bash\n# install.sh\n"
IMAGE_SCRIPT = b"# image.sh\n"
UNLOCK_CODE = "0123-4567"
WINDOW = Window(NOW, NOW, NOW)


def cluster(count: int = 3, **changes: Any) -> Cluster:
    """The guide's cluster, with ``changes`` in its specification."""
    hosts = [{"name": f"infra{number}", "address": f"10.0.0.{6 + number}"} for number in range(count)]
    asked = {"name": "prod", "kubernetesVersion": "v1.31.4", "hosts": hosts, **changes}
    return parse({"pki": {"encryptionAlgorithm": "ECDSA-P256"}, **asked})


@cache
def pair(request: CertRequest) -> Pair:
    """A certificate as asked for, all of one key; the CA's signs them all."""
    issuer = None if request.is_ca else pair(ca_request(cluster()))
    key = fixture_key("ecdsa")
    return Pair(issue(request, key=key, serial=1 + len(request.name), issued_at=NOW, issuer=issuer), key)


def renderer(asked: Cluster) -> render.Renderer:
    return render.Renderer(asked, "prod-5c1e", lru_cache(resources.template_text))


def host(asked: Cluster, number: int = 0, **more: Any) -> BundlePlan:
    """The bundle of the host of this number."""
    one = asked.hosts[number]
    return plan_host(
        asked,
        one,
        renderer=renderer(asked),
        installer=INSTALLER,
        image_script=IMAGE_SCRIPT,
        leaves={request.name: pair(request) for request in host_requests(asked, one)},
        ca=pair(ca_request(cluster())),
        window=WINDOW,
        **more,
    )


def base(asked: Cluster, **more: Any) -> BundlePlan:
    """The bundle for images."""
    return plan_base(asked, renderer=renderer(asked), installer=INSTALLER, image_script=IMAGE_SCRIPT, **more)
