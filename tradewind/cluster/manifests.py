"""What is applied: a kustomization of the moment on top of ours, and the stamp that rolls pods out. Pure."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

MANIFESTS = Path(__file__).parents[2] / "knative"
IMAGE = "dev.local/tradewind"
SETTINGS = "tradewind-settings"
STAMP = "tradewind/settings"  # annotation of pods

Document = dict[str, Any]


class BadReference(ValueError):
    """An image's or an overlay's name that can't be used; the message says how to write it."""


def find_overlay(name: str, manifests: Path = MANIFESTS) -> Path:
    """`base`, the name of one of our overlays, or a folder of the user's own. Raises BadReference."""
    own = {"base": manifests / "base"} | {path.name: path for path in (manifests / "overlays").glob("*/")}
    folder = own.get(name) or Path(name)
    if not (folder / "kustomization.yaml").is_file():
        raise BadReference(
            f"there is no overlay {name}: give one of {', '.join(sorted(own))}, "
            "or a folder with a kustomization.yaml"
        )
    return folder.resolve()


_IMAGE_REFERENCE = re.compile(r"(?P<name>[^@\s]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>\w+:[0-9a-f]+))?")


def kustomization(overlay: Path, folder: Path, namespace: str, image: str | None) -> str:
    """Text of the kustomization.yaml to write into `folder`. Raises BadReference."""
    made: Document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [os.path.relpath(overlay, folder.resolve())],
    }
    if image is not None:
        parts = _IMAGE_REFERENCE.fullmatch(image)
        if parts is None:
            raise BadReference(f"{image!r} is no image: write it as registry.example/tradewind:1")
        entry = {"name": IMAGE, "newName": parts["name"]}
        if parts["digest"]:
            entry["digest"] = parts["digest"]
        else:
            entry["newTag"] = parts["tag"] or "latest"
        made["images"] = [entry]
    return yaml.safe_dump(made, sort_keys=False)


def stamp(documents: Iterable[Document]) -> list[Document]:
    """Each pod template that reads our settings with a digest of these on it: a change starts new pods.

    Pods read a ConfigMap when they start, and neither Kubernetes nor Knative starts new ones when it changes.
    """
    found = list(documents)
    settings = [each["data"] for each in found if (each["kind"], _name(each)) == ("ConfigMap", SETTINGS)]
    digest = hashlib.sha256(repr([sorted(data.items()) for data in settings]).encode()).hexdigest()[:12]
    for document in found:
        template = (document.get("spec") or {}).get("template")
        if isinstance(template, dict) and _reads_settings(template):
            template.setdefault("metadata", {}).setdefault("annotations", {})[STAMP] = digest
    return found


def _name(document: Document) -> str:
    return str(document["metadata"]["name"])


def _reads_settings(template: Document) -> bool:
    return any(
        source.get("configMapRef", {}).get("name") == SETTINGS
        for container in template["spec"]["containers"]
        for source in container.get("envFrom", ())
    )


def starts_last(document: Document) -> bool:
    """Whether it sends: until a Trigger is ready, a Broker takes events that this Trigger never gets."""
    labels = document["metadata"].get("labels") or {}
    return labels.get("tradewind/starts") == "last"


def read(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


def write(documents: Iterable[Document]) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False)
