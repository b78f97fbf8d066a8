"""The files of deploy/ agree with the program: commands, ports, paths, times, extras."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from openlamda.cli.app import app
from openlamda.serve.app import routes
from openlamda.serve.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
CADDYFILE = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
MANIFESTS = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))}
POD = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
PATHS = {route.path for route in routes()}


def commands() -> list[list[str]]:
    """Every command line of the program in deploy/."""
    image = json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.M)[-1])
    composed = [service["command"] for service in COMPOSE["services"].values() if service["image"] == "openlamda"]
    purge = MANIFESTS["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
    return [image, *composed, CONTAINER["args"], purge]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_are_ones_of_the_program(command):
    verb, bound, _ = app.parse_args(command, print_error=False, exit_on_error=False)
    if command[0] == "serve":
        assert verb.__name__ == "serve"
        assert (bound.arguments["host"], bound.arguments["port"]) == ("0.0.0.0", 8000)
        assert bound.arguments["require_key"]  # reachable from elsewhere
    else:
        assert verb.__name__ == "purge" and bound.arguments["days"] == 90


def test_ports_agree():
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.M) == ["8000"]
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": 8000}]
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    servers = [name for name, service in COMPOSE["services"].items() if service.get("command", [""])[0] == "serve"]
    assert re.findall(r"reverse_proxy (.*) \{", CADDYFILE) == [" ".join(f"{name}:8000" for name in servers)]
    assert len(servers) == MANIFESTS["Deployment"]["spec"]["replicas"] == 2
    assert not any("ports" in COMPOSE["services"][name] for name in (*servers, "database"))


def test_probes_ask_for_paths_that_are_there():
    asked = [CONTAINER[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert [(probe["path"], probe["port"]) for probe in asked] == [
        ("/healthz", "http"), ("/readyz", "http"), ("/healthz", "http"),
    ]  # fmt: skip
    told = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", DOCKERFILE) + re.findall(r"health_uri (\S+)", CADDYFILE)
    annotations = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert {*told, "/healthz", annotations["prometheus.io/path"]} <= PATHS


def test_the_way_in_has_the_page_and_the_apis_and_not_the_operators_paths():
    rules = MANIFESTS["Ingress"]["spec"]["rules"][0]["http"]["paths"]

    def let_in(path: str) -> bool:
        return any(path == rule["path"] or (rule["pathType"] == "Prefix" and path.startswith(rule["path"] + "/"))
                   for rule in rules)  # fmt: skip

    ours = ("/metrics", "/admin/reload", "/healthz", "/readyz", "/tokenize", "/detokenize", "/tokenizer_info")
    assert {path for path in PATHS if not let_in(path)} == {*ours, "/openapi.json"}
    assert re.findall(r"@private path (.*)", CADDYFILE) == ["/metrics /admin/*"]


def test_what_streams_is_not_held_back_and_has_the_time_it_takes():
    annotations = MANIFESTS["Ingress"]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off" and "flush_interval -1" in CADDYFILE
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > Settings().deadline


def test_a_server_that_is_told_to_stop_may_end_what_it_began():
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > pause + Settings().drain
    assert int(COMPOSE["x-server"]["stop_grace_period"].removesuffix("s")) > Settings().drain


def test_nothing_runs_as_root_and_no_secret_is_in_the_files():
    users = re.findall(r"^USER (\d+)$", DOCKERFILE, re.M)
    assert users == ["10001"] and f"--uid {users[0]}" in DOCKERFILE
    assert POD["securityContext"]["runAsNonRoot"] and POD["securityContext"]["runAsUser"] == int(users[0])
    assert CONTAINER["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "openlamda-store", "key": "url"}
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or value.startswith("${POSTGRES_PASSWORD:?")


def test_selectors_select():
    labels = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget", "Deployment"):
        selector = MANIFESTS[kind]["spec"]["selector"]
        assert selector.get("matchLabels", selector) == labels
    assert MANIFESTS["PodDisruptionBudget"]["spec"]["minAvailable"] < MANIFESTS["Deployment"]["spec"]["replicas"]


def test_the_image_installs_what_there_is():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = re.findall(r"'\.\[(.*)\]'", DOCKERFILE)[0].split(",")
    assert set(wanted) <= set(project["optional-dependencies"]) and {"serve", "postgresql"} <= set(wanted)
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M):
        assert all((ROOT / name).exists() for name in line.split())
