"""What is applied: a kustomization of the moment on top of ours, and the stamp that rolls pods out. Pure."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tradewind.cluster import NAMESPACE

MANIFESTS = Path(__file__).parents[2] / "knative"
PARTS = {"aerospike", "monitoring/shared"}  # components that the base, and other components, are made of
IMAGE = "dev.local/tradewind"
SETTINGS = "tradewind-settings"
STAMP = "tradewind/settings"  # annotation of pods

Document = dict[str, Any]


class BadReference(ValueError):
    """An image's or an overlay's name that can't be used; the message says how to write it."""


def find_overlay(name: str, manifests: Path = MANIFESTS) -> Path:
    """`base`, the name of one of our components, or a folder of the user's own. Raises BadReference."""
    ours = manifests / "base" if name == "base" else manifests / "components" / name
    folder = ours if _has_kustomization(ours) else Path(name)
    if not _has_kustomization(folder):
        names = ["base", *overlay_names(manifests)]
        raise BadReference(
            f"there is no overlay {name}: give {', '.join(names)}, or a folder with a kustomization.yaml"
        )
    return folder.resolve()


def overlay_names(manifests: Path = MANIFESTS) -> list[str]:
    """What `find_overlay` knows besides the base."""
    components = manifests / "components"
    found = {
        path.parent.relative_to(components).as_posix() for path in components.rglob("kustomization.yaml")
    }
    return sorted(found - PARTS)


def _has_kustomization(folder: Path) -> bool:
    return (folder / "kustomization.yaml").is_file()


def _is_component(folder: Path) -> bool:
    made = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return isinstance(made, dict) and made.get("kind") == "Component"


_IMAGE_REFERENCE = re.compile(r"(?P<name>[^@\s]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>\w+:[0-9a-f]+))?")


def kustomization(
    overlays: Iterable[Path], folder: Path, namespace: str, image: str | None, manifests: Path = MANIFESTS
) -> str:
    """Text of the kustomization.yaml to write into `folder`: components on one whole. Raises BadReference."""
    chosen = list(dict.fromkeys(overlays))
    components = [path for path in chosen if _is_component(path)]
    wholes = [path for path in chosen if path not in components] or [manifests / "base"]
    if len(wholes) > 1:
        raise BadReference(
            f"{' and '.join(map(str, wholes))} are each a whole: give one of them, and components beside it"
        )
    made: Document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [os.path.relpath(path, folder.resolve()) for path in wholes],
        "components": [os.path.relpath(path, folder.resolve()) for path in components],
    }
    if namespace != NAMESPACE:
        rename = [{"op": "replace", "path": "/metadata/name", "value": cluster_wide(namespace)}]
        target = {"kind": "ClusterRole|ClusterRoleBinding", "name": cluster_wide(NAMESPACE)}
        made["patches"] = [
            {"target": target, "options": {"allowNameChange": True}, "patch": yaml.safe_dump(rename)}
        ]
    if image is not None:
        made["images"] = [_image(image)]
    return yaml.safe_dump(made, sort_keys=False)


def cluster_wide(namespace: str) -> str:
    """The name of Prometheus' role, which lies in no namespace: each pipeline of a cluster has its own."""
    return "tradewind-prometheus" if namespace == NAMESPACE else f"tradewind-prometheus-{namespace}"


def _image(reference: str) -> Document:
    parts = _IMAGE_REFERENCE.fullmatch(reference)
    if parts is None:
        raise BadReference(f"{reference!r} is no image: write it as registry.example/tradewind:1")
    entry = {"name": IMAGE, "newName": parts["name"]}
    if parts["digest"]:
        return entry | {"digest": parts["digest"]}
    return entry | {"newTag": parts["tag"] or "latest"}


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
