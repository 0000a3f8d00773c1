#!/usr/bin/env python3
"""r2's command lines in a compose file or Kubernetes manifest, one JSON array a line; complains about what is not as it has to be."""
import json
import sys

import yaml

SPECS = {"Pod": ["spec"], "Job": ["spec", "template", "spec"],
         "CronJob": ["spec", "jobTemplate", "spec", "template", "spec"]}
VERSIONS = {"Pod": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}
POD = {"terminationGracePeriodSeconds", "automountServiceAccountToken", "securityContext", "initContainers", "containers",
       "volumes", "restartPolicy"}
CONTAINER = {"name", "image", "restartPolicy", "args", "envFrom", "startupProbe", "livenessProbe", "volumeMounts",
             "resources", "securityContext"}
SERVICE = {"image", "user", "volumes", "command", "env_file", "environment", "secrets", "healthcheck", "read_only", "cap_drop",
           "security_opt", "stop_grace_period", "restart"}


def known(what, has, may):
    if set(has) - may:
        sys.exit(f"{what}: {sorted(set(has) - may)}: not expected here")


def command(words):
    assert all(isinstance(w, str) for w in words), words
    print(json.dumps(words))


def container(c, volumes):
    known(c["name"], c, CONTAINER)
    for m in c.get("volumeMounts", []):
        assert m["name"] in volumes, f"{m['name']}: no such volume"
    if not c["image"].startswith("r2box"):
        return
    command(c["args"])
    for probe in ("startupProbe", "livenessProbe"):
        if probe in c:
            words = c[probe]["exec"]["command"]
            assert words[0] == "/r2"
            command(words[1:])


def manifest(d):
    kind = d["kind"]
    assert d["apiVersion"] == VERSIONS[kind] and d["metadata"]["name"], kind
    pod = d
    for key in SPECS[kind]:
        pod = pod[key]
    known(kind, pod, POD)
    assert kind == "Pod" or pod["restartPolicy"] in ("Never", "OnFailure"), kind
    for c in pod.get("initContainers", []) + pod["containers"]:
        container(c, {v["name"] for v in pod.get("volumes", [])})


def compose(d):
    known("compose", d, {"services", "volumes", "secrets"})
    for name, s in d["services"].items():
        known(name, s, SERVICE)
        for v in s.get("volumes", []):
            assert v.split(":")[0] in d["volumes"], v
        for v in s.get("secrets", []):
            assert v in d["secrets"], v
        if s["image"] == "r2box":
            command(s["command"])
            words = s["healthcheck"]["test"]
            assert words[:2] == ["CMD", "/r2"], words
            command(words[2:])


for document in yaml.safe_load_all(open(sys.argv[1], encoding="utf-8")):
    compose(document) if "services" in document else manifest(document)
